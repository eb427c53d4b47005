import { expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { composeHeaders } from './request-headers.ts';

const source = { authority: 'a.example', userAgent: 'x', webhookId: 'dlv_1', timestampSeconds: 1, body: Buffer.from(''), keys: [new Secret(new Uint8Array(32))] };

it('a custom header that no subscription may have is never sent', () => {
  expect(() => composeHeaders({ ...source, headers: { Host: new Secret('b.example') } })).toThrow('reserved');
});

it('a request without a key is never sent', () => {
  expect(() => composeHeaders({ ...source, keys: [] })).toThrow('without a signing key');
});
