// violates: libs-know-no-app
import { server } from '../../apps/server/main.ts';

export const served = server;
