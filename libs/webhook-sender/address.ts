import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A network as an address and how many of its leading bits count. */
export type Network = readonly [Address, number];

/** `refused` is the word of `KF_ALLOW_TARGETS` that covers the address, where there is one. */
export type AddressJudgement = 'allowed' | { readonly refused: 'loopback' | 'private' | 'not-public'; readonly why: string };

/**
 * Whether a request may be dialled to an IP address (the text that a resolver or the WHATWG URL parser gives): public
 * unicast space only, judged on bytes. Addresses that carry an IPv4 address for somebody on the way to unwrap (mapped,
 * compatible, translated, NAT64, 6to4, Teredo, ISATAP) are judged by what they carry. `openings` are networks that are
 * allowed all the same. What is not an IP address, or names an interface (`fe80::1%eth0`), is refused.
 */
export function judgeAddress(text: string, openings: readonly Network[] = []): AddressJudgement {
  const address = parseAddress(text);
  if (address === undefined) return { refused: 'not-public', why: 'not an IP address' };
  return address instanceof ipaddr.IPv6 ? judgeIpv6(address, openings) : judgeDirect(address, openings);
}

/** An IP address of its text, an IPv4-mapped one as the IPv4 address that it is on the wire; undefined when it is none. */
export function parseAddress(text: string): Address | undefined {
  if (isIP(text) === 0 || text.includes('%')) return undefined;
  const address = ipaddr.parse(text);
  return address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() ? address.toIPv4Address() : address;
}

export const isWithin = (address: Address, networks: readonly Network[]): boolean =>
  networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));

const network6 = (cidr: string): [ipaddr.IPv6, number] => ipaddr.IPv6.parseCIDR(cidr);
const lastTwoParts = (parts: readonly number[]): ipaddr.IPv4[] => [ipv4(parts[6], parts[7])];

/**
 * Prefixes whose addresses mean one or two IPv4 addresses. Of the local NAT64 space 64:ff9b:1::/48 (RFC 8215) only the /96
 * at its start says where the IPv4 address stands (RFC 6052 has six layouts); the rest is not public space and refused as such.
 */
const wrappers: readonly { readonly network: [ipaddr.IPv6, number]; readonly inside: (parts: readonly number[]) => ipaddr.IPv4[] }[] = [
  { network: network6('::/96'), inside: lastTwoParts }, // IPv4-compatible, RFC 4291, section 2.5.5.1
  { network: network6('::ffff:0:0:0/96'), inside: lastTwoParts }, // IPv4-translated (SIIT), RFC 7915
  { network: network6('64:ff9b::/96'), inside: lastTwoParts }, // NAT64, RFC 6052
  { network: network6('64:ff9b:1::/96'), inside: lastTwoParts },
  { network: network6('2002::/16'), inside: (parts) => [ipv4(parts[1], parts[2])] }, // 6to4, RFC 3056
  // Teredo, RFC 4380: the server in clear, the client with every bit inverted.
  { network: network6('2001::/32'), inside: (parts) => [ipv4(parts[2], parts[3]), ipv4(~(parts[6] ?? 0), ~(parts[7] ?? 0))] },
];

const globalUnicast6 = network6('2000::/3');
const special6 = [network6('::/128'), network6('::1/128')];

function judgeIpv6(address: ipaddr.IPv6, openings: readonly Network[]): AddressJudgement {
  const wrapper = isWithin(address, special6) ? undefined : wrappers.find(({ network }) => address.match(network));
  const carried = [...(isWithin(address, openings) ? [] : (wrapper?.inside(address.parts) ?? [])), ...insideIsatap(address.parts)];
  const refused = carried.map((inner) => judgeDirect(inner, openings)).find((judgement) => judgement !== 'allowed');
  if (refused !== undefined) return refused;
  return wrapper === undefined ? judgeDirect(address, openings) : 'allowed';
}

/** ISATAP keeps an IPv4 address in the interface id of any prefix: 0000:5efe or 0200:5efe before it, RFC 5214, section 6.1. */
const insideIsatap = (parts: readonly number[]): ipaddr.IPv4[] =>
  ((parts[4] ?? 0) & 0xfcff) === 0 && parts[5] === 0x5efe ? lastTwoParts(parts) : [];

function judgeDirect(address: Address, openings: readonly Network[]): AddressJudgement {
  if (isWithin(address, openings)) return 'allowed';
  const range: string = address.range();
  if (range === 'unicast' && (address instanceof ipaddr.IPv4 || address.match(globalUnicast6))) return 'allowed';
  if (range === 'loopback') return { refused: 'loopback', why: 'a loopback address' };
  if (range === 'private' || range === 'uniqueLocal') return { refused: 'private', why: 'a private address' };
  return { refused: 'not-public', why: 'not a public unicast address' };
}

function ipv4(high = 0, low = 0): ipaddr.IPv4 {
  return new ipaddr.IPv4([(high >> 8) & 0xff, high & 0xff, (low >> 8) & 0xff, low & 0xff]);
}
