import { describe, expect, it } from '@jest/globals';
import { maxCustomHeaderBytes, maxCustomHeaders, parseHeader, wrongHeaders } from '#kernel';

describe('a header of a subscription’s own', () => {
  it.each([
    ['x-api-key', 'abc def'],
    ['Authorization', 'Bearer abc'],
    ['x-empty', ''],
    ['x-latin', 'caf\u00e9'],
    ['x'.repeat(128), 'x'],
  ])('is fine: %s', (name, value) => expect(wrongHeaders([[name, value]])).toBeUndefined());

  it.each([
    'host', 'Host', 'content-length', 'transfer-encoding', 'connection', 'te', 'upgrade', 'expect', 'proxy-authorization', 'Proxy-Connection', 'webhook-id', 'Webhook-Signature', 'roost-signature', 'cookie',
    'X-Forwarded-For', 'x-forwarded-host', 'forwarded', 'metadata-flavor', 'X-aws-ec2-metadata-token', 'x-google-metadata-request', 'metadata', 'content-type', 'user-agent', 'accept-encoding', 'keep-alive', 'trailer',
  ])('is refused because its name is reserved: %s', (name) => expect(wrongHeaders([[name, 'x']])).toBe(`must not have the reserved name ${name.toLowerCase()}`));

  it.each(['', 'a b', 'a:b', 'a\r\nb', 'é', '__proto__', '-a', 'x'.repeat(129)])('is refused for its name, which is not repeated: %j', (name) => {
    const wrong = wrongHeaders([[name, 'x']]) ?? '';
    expect(wrong).toMatch(/^must have names of 1 to 128 /);
    if (name.length > 3) expect(wrong).not.toContain(name);
  });

  it.each(['secret\r\nb: c', 'secret\nb', 'secret\0b', ' secret', 'secret ', 'secret\u20ac'])('is refused for its value, which is not repeated: %j', (value) => {
    const wrong = wrongHeaders([['X-Key', value]]);
    expect(wrong).toMatch(/^must have a value of visible Latin-1 characters for x-key/);
    expect(wrong).not.toContain('secret');
  });

  it('has a value of all that follows the first =', () => {
    expect(parseHeader('Authorization=Basic dXNlcg==')).toEqual(['Authorization', 'Basic dXNlcg==']);
    expect(parseHeader('X-Empty=')).toEqual(['X-Empty', '']);
    expect(parseHeader('X-Empty')).toBeUndefined();
  });
});

describe('the headers of a subscription’s own', () => {
  const many = (count: number): [string, string][] => Array.from({ length: count }, (_, index) => [`x-${index}`, 'v']);

  it('are none twice, also in other letters', () => {
    expect(wrongHeaders([['X-Key', 'a'], ['Other', 'b'], ['x-kEY', 'c']])).toBe('must not have x-key twice: capitals make no other header of it');
  });

  it('are not more than twenty', () => {
    expect(wrongHeaders(many(maxCustomHeaders))).toBeUndefined();
    expect(wrongHeaders(many(maxCustomHeaders + 1))).toBe('must be at most 20, not 21');
  });

  it('are not longer than 4096 bytes together', () => {
    const rest = maxCustomHeaderBytes - 'x-0v'.length - 'x-1'.length;
    expect(wrongHeaders([['x-0', 'v'], ['x-1', 'v'.repeat(rest)]])).toBeUndefined();
    expect(wrongHeaders([['x-0', 'v'], ['x-1', 'v'.repeat(rest + 1)]])).toBe('must have at most 4096 bytes of names and values together, not 4097');
  });
});
