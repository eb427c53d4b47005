// violates: outgoing-http-only-in-the-sender
import { request } from 'node:http';
import { Agent } from 'undici';

export const outgoing = [request, Agent];
