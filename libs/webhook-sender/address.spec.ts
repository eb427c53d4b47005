import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { judgeAddress, parseAddress } from './address.ts';

const v4 = (address: string): [string, string] => {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return [((a << 8) | b).toString(16), ((c << 8) | d).toString(16)];
};
const inverted = (address: string): string => v4(address).map((part) => (~parseInt(part, 16) & 0xffff).toString(16)).join(':');

/** The ways to write an IPv4 address into an IPv6 one. */
const carriers: readonly [string, (address: string) => string][] = [
  ['IPv4-mapped', (address) => `::ffff:${address}`],
  ['IPv4-mapped in hex', (address) => `::ffff:${v4(address).join(':')}`],
  ['IPv4-compatible', (address) => `::${v4(address).join(':')}`],
  ['SIIT', (address) => `::ffff:0:${v4(address).join(':')}`],
  ['NAT64', (address) => `64:ff9b::${v4(address).join(':')}`],
  ['local NAT64', (address) => `64:ff9b:1::${v4(address).join(':')}`],
  ['6to4', (address) => `2002:${v4(address).join(':')}::1`],
  ['Teredo client', (address) => `2001:0:${v4('8.8.8.8').join(':')}:0:1:${inverted(address)}`],
  ['Teredo server', (address) => `2001:0:${v4(address).join(':')}:0:1:${inverted('8.8.8.8')}`],
  ['ISATAP', (address) => `2a00:1450:1:2:0:5efe:${v4(address).join(':')}`],
  ['ISATAP of a public address', (address) => `2a00:1450:1:2:200:5efe:${v4(address).join(':')}`],
  ['ISATAP in 6to4', (address) => `2002:808:808:1:200:5efe:${v4(address).join(':')}`],
];

const refusedV4 = [
  '0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.127.255.255', '127.0.0.1', '127.255.255.254', '169.254.169.254',
  '172.16.0.1', '172.31.255.255', '192.0.0.1', '192.0.2.1', '192.88.99.1', '192.168.0.1', '192.168.255.255', '198.18.0.1', '198.19.255.255',
  '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255',
];
const publicV4 = ['1.1.1.1', '8.8.8.8', '9.255.255.255', '11.0.0.1', '100.63.255.255', '100.128.0.1', '126.1.1.1', '128.0.0.1', '172.15.255.255', '172.32.0.1', '192.167.1.1', '223.255.255.254'];
const refusedV6 = [
  '::', '::1', '::2', 'fe80::1', 'febf::1', 'fec0::1', 'fc00::1', 'fdff::1', 'ff02::1', '100::1', '2001:db8::1', '3fff::1', '2001:2::1', '2001:10::1', '2001:20::1',
  '5f00::1', '4000::1', '64:ff9b:1:1::808:808', '64:ff9b:2::808:808', '1::1', 'fe80::5efe:808:808', 'e000::1', '8000::1',
];
const publicV6 = ['2001:4860:4860::8888', '2606:4700:4700::1111', '2a00:1450:4001:800::200e', '2003::1', '3ffe::1'];

describe('an address may be dialled when it is public unicast', () => {
  it.each(publicV4)('%s', (address) => expect(judgeAddress(address)).toBe('allowed'));
  it.each(publicV6)('%s', (address) => expect(judgeAddress(address)).toBe('allowed'));
});

describe('an address is refused when it is anything else', () => {
  it.each(refusedV4)('%s', (address) => expect(judgeAddress(address)).not.toBe('allowed'));
  it.each(refusedV6)('%s', (address) => expect(judgeAddress(address)).not.toBe('allowed'));
  it.each(['', 'localhost', '127.1', '0x7f.0.0.1', '0177.0.0.1', '2130706433', '1.2.3.4.5', '8.8.8.8 ', 'fe80::1%eth0', '2a00::1%1', '[2a00::1]', '8.8.8.8/32'])('what is no address: "%s"', (text) =>
    expect(judgeAddress(text)).toMatchObject({ refused: 'not-public' }));

  it('names the word that covers it', () => {
    expect(judgeAddress('127.0.0.1')).toMatchObject({ refused: 'loopback' });
    expect(judgeAddress('::1')).toMatchObject({ refused: 'loopback' });
    expect(judgeAddress('::ffff:127.0.0.1')).toMatchObject({ refused: 'loopback' });
    expect(judgeAddress('10.1.2.3')).toMatchObject({ refused: 'private' });
    expect(judgeAddress('fd00::1')).toMatchObject({ refused: 'private' });
    expect(judgeAddress('169.254.169.254')).toMatchObject({ refused: 'not-public' });
  });
});

describe.each(carriers)('an address that carries an IPv4 address (%s) is judged by it', (_name, carry) => {
  it('as the IPv4 address is', () => {
    for (const address of refusedV4) expect([carry(address), judgeAddress(carry(address))]).not.toEqual([carry(address), 'allowed']);
    for (const address of publicV4) expect([carry(address), judgeAddress(carry(address))]).toEqual([carry(address), 'allowed']);
  });

  it('whatever the address', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        expect(judgeAddress(carry(address)) === 'allowed').toBe(judgeAddress(address) === 'allowed');
      }),
      { numRuns: 500 },
    );
  });
});

it('no IPv6 address outside 2000::/3 is allowed unless it carries a public IPv4 address', () => {
  const outside = fc.ipV6().filter((text) => {
    const bytes = parseAddress(text)?.toByteArray() ?? [];
    const carrier = bytes.length !== 16 || bytes.slice(0, 8).every((byte) => byte === 0) || text.startsWith('64:ff9b:');
    return !carrier && ((bytes[0] ?? 0) & 0xe0) !== 0x20;
  });
  fc.assert(fc.property(outside, (text) => expect(judgeAddress(text)).not.toBe('allowed')), { numRuns: 2_000 });
});

describe('an opened network', () => {
  const opened = (cidr: string): readonly [NonNullable<ReturnType<typeof parseAddress>>, number][] => {
    const [text = '', bits] = cidr.split('/');
    const address = parseAddress(text);
    return address === undefined ? [] : [[address, Number(bits)]];
  };

  it('lets its addresses through in the mapped form too, which is the same address on the wire', () => {
    expect(judgeAddress('10.1.2.3', opened('10.0.0.0/8'))).toBe('allowed');
    expect(judgeAddress('::ffff:10.1.2.3', opened('10.0.0.0/8'))).toBe('allowed');
    expect(judgeAddress('11.1.2.3', opened('12.0.0.0/8'))).toBe('allowed');
    expect(judgeAddress('192.168.1.1', opened('10.0.0.0/8'))).not.toBe('allowed');
  });

  it('of IPv6 does not let an ISATAP address reach an IPv4 address that is not opened', () => {
    expect(judgeAddress('fd00::1', opened('fc00::/7'))).toBe('allowed');
    expect(judgeAddress('fd00::5efe:a9fe:a9fe', opened('fc00::/7'))).not.toBe('allowed');
  });

  it('can be all of IPv6 without opening IPv4 behind the mapped form', () => {
    expect(judgeAddress('fe80::1', opened('::/0'))).toBe('allowed');
    expect(judgeAddress('::ffff:127.0.0.1', opened('::/0'))).not.toBe('allowed');
  });
});
