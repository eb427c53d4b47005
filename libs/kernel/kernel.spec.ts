import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { base32, canonicalJson, comparePositions, deliveryId, derivedId, eventStream, formatInstant, formatRetrySchedule, formatSite, hmacSha256Hex, isName, isPosition, type Json, maxAttempts, maxRetryDelayMs, newId, parseInstant, parsePrincipal, parseRetrySchedule, parseSite, parseStream, samePrincipal, Secret, sha256Hex, streamOf, timeOrdered, uuidBytes, uuidV5 } from '#kernel';

const site = { tenant: 'tnt_demo', environment: 'production' };

describe('canonical JSON', () => {
  it('holds the example of RFC 8785, section 3.2.2 and 3.2.3', () => {
    const value: Json = {
      numbers: [333333333.33333329, 1e30, 4.5, 2e-3, 0.000000000000000000000000001],
      string: '€$\u000f\nA\'B"\\\\"/',
      literals: [null, true, false],
    };
    expect(canonicalJson(value)).toBe('{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}');
  });

  it('sorts members by UTF-16 code units, as the RFC\'s table of names does', () => {
    const names = ['€', '\r', '\u{fb33}', '1', '\u{1f600}', '\u0080', 'ö'];
    const value = Object.fromEntries(names.map((name) => [name, 0]));
    expect(Object.keys(JSON.parse(canonicalJson(value)) as object)).toEqual(['1', '\r', '\u0080', 'ö', '€', '\u{1f600}', '\u{fb33}']);
  });

  it('is the same for the same value in whatever order and spelling, and means what it meant', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value as Json);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(JSON.parse(text) as Json)).toBe(text);
      }),
    );
    expect(canonicalJson(JSON.parse('{"b":1.0,"a":[1e2]}') as Json)).toBe(canonicalJson(JSON.parse(' { "a" : [100], "b" : 1 }') as Json));
  });

  it('refuses what JSON has no form for', () => {
    for (const value of [NaN, Infinity, undefined]) expect(() => canonicalJson(value)).toThrow(TypeError);
  });
});

describe('digests', () => {
  it('hold the published vectors', () => {
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    // RFC 4231, test case 2.
    expect(hmacSha256Hex(Buffer.from('Jefe'), 'what do ya want for nothing?')).toBe('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
    // RFC 9562, appendix A.4.
    expect(uuidV5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2');
    // Python's uuid.uuid5: a name beyond ASCII, a long one, and a namespace in capitals.
    expect(uuidV5('6BA7B810-9DAD-11D1-80B4-00C04FD430C8', 'häuser €')).toBe('db028405-c90b-58d4-8b50-62ffd86d31ff');
    expect(uuidV5('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'x'.repeat(2_000))).toBe('63b4237f-9239-540d-bf85-4c4211f1b4d1');
  });
});

describe('ids', () => {
  const ids = { uuid: () => '', randomBytes: (length: number) => new Uint8Array(length) };

  it('are 26 lower-case base32 characters behind their prefix', () => {
    expect(newId('evt', Date.UTC(2026, 10, 21), ids)).toMatch(/^evt_[0-9a-hjkmnp-tv-z]{26}$/);
    expect(base32(new Uint8Array(16).fill(255))).toBe('7zzzzzzzzzzzzzzzzzzzzzzzzz');
    expect(derivedId('whs', '2ed6657d-e927-568b-95e1-2665a8aea6a2')).toBe(`whs_${base32(uuidBytes('2ed6657d-e927-568b-95e1-2665a8aea6a2'))}`);
  });

  it('sort by the time they were made', () => {
    const time = fc.integer({ min: 0, max: 2 ** 48 - 1 });
    fc.assert(
      fc.property(time, time, fc.uint8Array({ minLength: 10, maxLength: 10 }), (one, other, rest) => {
        fc.pre(one !== other);
        expect(timeOrdered('x', one, rest) < timeOrdered('x', other, new Uint8Array(10))).toBe(one < other);
      }),
    );
  });

  it('of a delivery are the same on every fan-out and differ by site, event and subscription', () => {
    const at = Date.UTC(2026, 10, 21);
    const id = deliveryId(site, 'evt', 'whs', at);
    expect(deliveryId({ ...site }, 'evt', 'whs', at)).toBe(id);
    const others = [deliveryId({ ...site, tenant: 'other' }, 'evt', 'whs', at), deliveryId({ ...site, environment: 'staging' }, 'evt', 'whs', at), deliveryId(site, 'evt2', 'whs', at), deliveryId(site, 'evt', 'whs2', at)];
    expect(new Set([id, ...others]).size).toBe(5);
  });
});

describe('a position', () => {
  it('is a decimal of up to 64 bits in one written form', () => {
    expect(['0', '1', '18446744073709551615'].every(isPosition)).toBe(true);
    expect(['', '-1', '01', '1.0', ' 1', '1e3', '123456789012345678901'].some(isPosition)).toBe(false);
  });

  it('orders as its number does, beyond 2^53', () => {
    fc.assert(fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (a, b) => expect(Math.sign(comparePositions(String(a), String(b)))).toBe(a === b ? 0 : a < b ? -1 : 1)));
    expect(comparePositions('9007199254740993', '9007199254740992')).toBeGreaterThan(0);
  });
});

describe('a retry schedule', () => {
  it('is written with each delay in the largest unit in which it is whole', () => {
    expect(formatRetrySchedule([0, 250, 90_000, 300_000, 7_200_000, 86_400_000])).toEqual(['0s', '250ms', '90s', '5m', '2h', '1d']);
  });

  it('is read again as it was written', () => {
    fc.assert(fc.property(fc.array(fc.integer({ min: 0, max: maxRetryDelayMs }), { maxLength: maxAttempts - 1 }), (delays) => {
      expect(parseRetrySchedule(formatRetrySchedule([0, ...delays]).join(','))).toEqual([0, ...delays]);
    }));
  });
});

describe('a site', () => {
  it('is written without its environment when that is production', () => {
    expect(formatSite(site)).toBe('tnt_demo');
    expect(parseSite('tnt_demo.production')).toEqual(site);
    expect(parseSite('tnt_demo')).toEqual(site);
    expect(formatSite({ tenant: 't', environment: 'staging' })).toBe('t.staging');
  });

  it('is malformed with capitals, dots too many, or nothing', () => {
    for (const text of ['', 'T', 't.', '.e', 't.e.x', 't.E', '-t', 't t']) expect(parseSite(text)).toBeUndefined();
    expect(isName('a'.repeat(63))).toBe(true);
    expect(isName('a'.repeat(64))).toBe(false);
  });
});

describe('a principal', () => {
  it('is split at the first colon', () => expect(parsePrincipal('USER:a:b')).toEqual({ type: 'USER', id: 'a:b' }));
  it('is malformed with an unknown type, a comma, blanks or nothing', () => {
    for (const text of ['user:a', 'ROBOT:a', 'USER:', 'USER:a,b', 'USER:a b', `USER:${'x'.repeat(129)}`, 'USER']) expect(parsePrincipal(text)).toBeUndefined();
  });
  it('is the same in whatever letter case, never with another type', () => {
    expect(samePrincipal({ type: 'USER', id: 'Sam' }, { type: 'USER', id: 'sAM' })).toBe(true);
    expect(samePrincipal({ type: 'USER', id: 'sam' }, { type: 'AGENT', id: 'sam' })).toBe(false);
  });
});

describe('an instant', () => {
  it('needs an offset and a day that exists', () => {
    expect(parseInstant('2026-11-21T12:00:00+01:00')).toBe(Date.UTC(2026, 10, 21, 11));
    expect(parseInstant('2028-02-29t12:00:00z')).toBe(Date.UTC(2028, 1, 29, 12));
    for (const text of ['2026-11-21T12:00:00', '2026-02-30T12:00:00Z', '2026-13-01T00:00:00Z', '2026-11-21', 'tomorrow', '']) expect(parseInstant(text)).toBeUndefined();
    expect(formatInstant(Date.UTC(2026, 10, 21))).toBe('2026-11-21T00:00:00.000Z');
  });
});

describe('a stream\'s name', () => {
  it('says category, site and id, and can be read back', () => {
    expect(parseStream(streamOf('webhooksubscription', site, 'whs_1'))).toEqual({ category: 'webhooksubscription', site, id: 'whs_1' });
    expect(parseStream('masterkey-register')).toBeUndefined();
  });

  it('of an event is its id where that is safe, else a hash; the two can never meet', () => {
    expect(eventStream(site, 'evt-1')).toBe('event-tnt_demo.production.evt-1');
    const hashed = eventStream(site, 'Evt 1');
    expect(hashed).toMatch(/^event-tnt_demo\.production\.h_[0-9a-f]{32}$/);
    expect(eventStream(site, hashed.slice('event-tnt_demo.production.'.length))).not.toBe(hashed);
  });
});

describe('a secret', () => {
  it('is not seen in JSON, in text or by inspection, however deep it stands', () => {
    const holder = { deep: [{ key: new Secret('whsec_hidden') }] };
    expect([JSON.stringify(holder), inspect(holder, { depth: 9 }), `${String(holder.deep[0]?.key)}`].join()).not.toContain('hidden');
    expect(holder.deep[0]?.key.reveal()).toBe('whsec_hidden');
  });
});
