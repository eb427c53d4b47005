import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { isRefusal, Secret } from '#kernel';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { formatSigningSecret, newSigningKey, parseSigningSecret, signRoost, signStandard, verifyRoost, verifyStandard } from './index.ts';

const published = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  timestampSeconds: 1614265330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};

function keyOf(text: string): Secret<Uint8Array> {
  const key = parseSigningSecret(text);
  if (isRefusal(key)) throw new Error(key.detail);
  return key;
}

const newKey = new Secret(new Uint8Array(32).fill(1));
const oldKey = new Secret(new Uint8Array(32).fill(2));
const nowSeconds = Math.floor(Date.now() / 1000);
const content = { id: 'dlv_1', timestampSeconds: nowSeconds, body: '{"größe":1}', keys: [newKey, oldKey] };

describe('webhook-signature', () => {
  it('is the published one for the published vector', () => {
    expect(signStandard({ ...published, keys: [keyOf(published.secret)] })).toBe(published.signature);
  });

  it('carries one signature per key, so that a receiver with either secret accepts it', () => {
    const headers = { 'webhook-id': content.id, 'webhook-timestamp': String(nowSeconds), 'webhook-signature': signStandard(content) };
    for (const key of content.keys) expect(() => new Webhook(formatSigningSecret(key).reveal()).verify(content.body, headers)).not.toThrow();
    expect(() => new Webhook(`whsec_${Buffer.alloc(32, 3).toString('base64')}`).verify(content.body, headers)).toThrow();
  });

  it('is what the standardwebhooks package makes of any id, body and key', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[!-~]{1,40}$/), fc.string({ unit: 'grapheme' }), fc.uint8Array({ minLength: 24, maxLength: 64 }), (id, body, bytes) => {
        const key = new Secret(bytes);
        const theirs = new Webhook(formatSigningSecret(key).reveal()).sign(id, new Date(nowSeconds * 1000), body);
        expect(signStandard({ id, timestampSeconds: nowSeconds, body, keys: [key] })).toBe(theirs);
        expect(signStandard({ id, timestampSeconds: nowSeconds, body: Buffer.from(body), keys: [key] })).toBe(theirs);
      }),
    );
  });

  it.each([
    ['valid', {}, 'valid'],
    ['valid among signatures of other versions', { signature: `v1a,AAAA ${signStandard(content)} v2,x` }, 'valid'],
    ['another id', { id: 'dlv_2' }, 'no-matching-signature'],
    ['another body', { body: '{}' }, 'no-matching-signature'],
    ['another key', { keys: [new Secret(new Uint8Array(32))] }, 'no-matching-signature'],
    ['a shortened signature', { signature: signStandard(content).slice(0, 20) }, 'no-matching-signature'],
    ['a timestamp too old', { nowSeconds: nowSeconds + 301 }, 'timestamp-outside-tolerance'],
    ['a timestamp too new', { nowSeconds: nowSeconds - 301 }, 'timestamp-outside-tolerance'],
    ['a timestamp within a wider tolerance', { nowSeconds: nowSeconds + 301, toleranceSeconds: 600 }, 'valid'],
    ['no timestamp', { timestamp: 'soon' }, 'malformed'],
    ['no signature', { signature: 'v2,AAAA' }, 'malformed'],
  ])('is judged: %s', (_case, change, verdict) => {
    const received = { id: content.id, timestamp: String(nowSeconds), signature: signStandard(content), body: content.body, keys: [oldKey], nowSeconds };
    expect(verifyStandard({ ...received, ...change })).toBe(verdict);
  });
});

describe('Roost-Signature', () => {
  it('is t=<unix> and v1=<hex> per key', () => {
    expect(signRoost(content)).toMatch(new RegExp(`^t=${nowSeconds},v1=[0-9a-f]{64},v1=[0-9a-f]{64}$`));
  });

  it.each([
    ['valid under the old key', { keys: [oldKey] }, 'valid'],
    ['valid under the new key', { keys: [newKey] }, 'valid'],
    ['another body', { body: '{}' }, 'no-matching-signature'],
    ['another timestamp', { signature: signRoost(content).replace(String(nowSeconds), String(nowSeconds + 1)) }, 'no-matching-signature'],
    ['a timestamp too old', { nowSeconds: nowSeconds + 301 }, 'timestamp-outside-tolerance'],
    ['no timestamp', { signature: signRoost(content).replace('t=', 'x=') }, 'malformed'],
    ['no signature', { signature: `t=${nowSeconds}` }, 'malformed'],
  ])('is judged: %s', (_case, change, verdict) => {
    expect(verifyRoost({ signature: signRoost(content), body: content.body, keys: content.keys, nowSeconds, ...change })).toBe(verdict);
  });
});

describe('a signing secret', () => {
  it('is 24 to 64 bytes in base64, and has one written form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 24, maxLength: 64 }), (bytes) => {
        const text = formatSigningSecret(new Secret(bytes)).reveal();
        expect(keyOf(text).reveal()).toEqual(bytes);
      }),
    );
  });

  it.each([
    ['no prefix', Buffer.alloc(32).toString('base64'), 'starts with whsec_'],
    ['another prefix', `WHSEC_${Buffer.alloc(32).toString('base64')}`, 'starts with whsec_'],
    ['not base64', `whsec_${'!'.repeat(44)}`, 'base64'],
    ['base64url', `whsec_${Buffer.alloc(32, 0xff).toString('base64url')}`, 'base64'],
    ['without its padding', `whsec_${Buffer.alloc(32).toString('base64').replace('=', '')}`, 'base64'],
    ['with white space', `whsec_${Buffer.alloc(32).toString('base64')}\n`, 'base64'],
    ['too short', `whsec_${Buffer.alloc(23).toString('base64')}`, 'holds 23'],
    ['too long', `whsec_${Buffer.alloc(65).toString('base64')}`, 'holds 65'],
    ['empty', 'whsec_', 'holds 0'],
  ])('is refused with a clear reason that does not repeat it: %s', (_case, text, reason) => {
    const refusal = parseSigningSecret(text);
    expect(refusal).toMatchObject({ refused: 'validation-failed', detail: expect.stringContaining(reason) });
    expect(JSON.stringify(refusal)).not.toContain(text.slice(6) || 'whsec_!');
  });

  it('is made of 32 random bytes and never prints', () => {
    const key = newSigningKey({ uuid: () => '', randomBytes: (length) => new Uint8Array(length).fill(9) });
    expect(key.reveal()).toEqual(new Uint8Array(32).fill(9));
    expect(`${inspect(key)} ${JSON.stringify(key)} ${String(key)} ${inspect(formatSigningSecret(key))}`).toBe('[redacted] "[redacted]" [redacted] [redacted]');
  });
});
