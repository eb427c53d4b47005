import { describe, expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { checkCustomHeader, composeHeaders } from './request-headers.ts';

const source = { authority: 'a.example', userAgent: 'x', webhookId: 'dlv_1', timestampSeconds: 1, body: Buffer.from(''), keys: [new Secret(new Uint8Array(32))] };

describe('a custom header', () => {
  it.each([
    ['x-api-key', 'abc def'],
    ['Authorization', 'Bearer abc'],
    ['x-empty', ''],
    ['x-latin', 'caf\u00e9'],
  ])('is fine: %s', (name, value) => expect(checkCustomHeader(name, value)).toBeUndefined());

  it.each([
    'host', 'Host', 'content-length', 'transfer-encoding', 'connection', 'te', 'upgrade', 'expect', 'proxy-authorization', 'Proxy-Connection', 'webhook-id', 'Webhook-Signature', 'roost-signature', 'cookie',
    'X-Forwarded-For', 'x-forwarded-host', 'forwarded', 'metadata-flavor', 'X-aws-ec2-metadata-token', 'x-google-metadata-request', 'metadata', 'content-type', 'user-agent', 'accept-encoding', 'keep-alive', 'trailer',
  ])('is refused because its name is reserved: %s', (name) => expect(checkCustomHeader(name, 'x')?.detail).toContain('reserved'));

  it.each([['', 'x'], ['a b', 'x'], ['a:b', 'x'], ['a\r\nb', 'x'], ['é', 'x'], ['x', 'a\r\nb: c'], ['x', 'a\nb'], ['x', 'a\0b'], ['x', ' a'], ['x', 'a '], ['x', '\u20ac']])(
    'is refused for its grammar: %j: %j',
    (name, value) => expect(checkCustomHeader(name, value)?.refused).toBe('validation-failed'),
  );

  it('that was not checked is never sent', () => {
    expect(() => composeHeaders({ ...source, headers: { Host: new Secret('b.example') } })).toThrow('reserved');
  });
});

it('a request without a key is never sent', () => {
  expect(() => composeHeaders({ ...source, keys: [] })).toThrow('without a signing key');
});
