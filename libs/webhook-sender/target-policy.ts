import { isIP } from 'node:net';
import { type Refusal, refuse } from '#kernel';
import ipaddr from 'ipaddr.js';
import { type Address, type AddressJudgement, isWithin, judgeAddress, type Network, parseAddress } from './address.ts';
import type { Resolve } from './resolver.ts';
import { isDomainName, isLocalhost, localhostAddresses, parseTarget, type Target } from './target.ts';

/** Which targets requests may reach: public addresses always, these as well. */
export interface TargetPolicy {
  /** `http:` also outside the openings below. */
  readonly allowHttp: boolean;
  /** Host names that may resolve to any address. */
  readonly names: ReadonlySet<string>;
  readonly networks: readonly Network[];
}

export type TargetRefusal = Refusal<'target-url-refused'>;

/** An item of `KF_ALLOW_TARGETS` that means nothing: found at start. */
export class AllowedTargetMalformed extends Error {
  override readonly name = 'AllowedTargetMalformed';
  readonly item: string;
  constructor(item: string, why: string) {
    super(`KF_ALLOW_TARGETS: "${item}" ${why}`);
    this.item = item;
  }
}

const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  private: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
};

/**
 * The policy of a configuration. Items of `allowTargets`: CIDRs and IP addresses (v4, v6), host names (exact, in any letter
 * case, a trailing dot ignored) and the words `loopback` (127.0.0.0/8 and ::1, so `localhost`) and `private` (RFC 1918 and
 * fc00::/7; not link-local, where cloud metadata answers). Throws `AllowedTargetMalformed` for the first item that is none of these.
 */
export function createTargetPolicy(configuration: { readonly allowTargets: readonly string[]; readonly allowHttp: boolean }): TargetPolicy {
  const names = new Set<string>();
  const networks: Network[] = [];
  for (const text of configuration.allowTargets) {
    const item = text.trim().toLowerCase();
    const cidrs = Object.hasOwn(words, item) ? words[item] : isIP(item.split('/')[0] ?? '') === 0 ? undefined : [item];
    if (cidrs === undefined) names.add(nameOf(item));
    else networks.push(...cidrs.map((cidr) => networkOf(cidr)));
  }
  return { allowHttp: configuration.allowHttp, names, networks };
}

/**
 * What can be said of a target's URL without asking anybody: an early answer for whoever saves it; every connection is judged
 * again. Undefined, or `target-url-refused` naming the setting that would allow it and nothing about the network we stand in.
 */
export function checkTargetUrl(url: string, policy: TargetPolicy): TargetRefusal | undefined {
  const target = parseTarget(url);
  if (typeof target === 'string') return refuse('target-url-refused', `the target URL is refused: ${target}`);
  if (isIP(target.host) !== 0) return refusalOf(target, judgeTarget(target, [target.host], policy));
  if (isLocalhost(target.host)) return refusalOf(target, judgeTarget(target, localhostAddresses, policy));
  // Over http, a name that is not listed can only be fine if it turns out to stand in a listed network.
  const hopeless = target.protocol === 'http:' && !policy.allowHttp && !policy.names.has(target.host) && policy.networks.length === 0;
  return hopeless ? refusalOf(target, httpRefused) : undefined;
}

/** `checkTargetUrl`, and whether the name resolves to a refused address now. A name that does not resolve is no reason to refuse. */
export async function resolveAndCheckTarget(url: string, policy: TargetPolicy, resolve: Resolve): Promise<TargetRefusal | undefined> {
  const refusal = checkTargetUrl(url, policy);
  const target = parseTarget(url);
  if (refusal !== undefined || typeof target === 'string' || isIP(target.host) !== 0) return refusal;
  const addresses = await resolve(target.host).catch(() => []);
  return addresses.length === 0 ? undefined : refusalOf(target, judgeTarget(target, addresses, policy));
}

export type TargetJudgement = AddressJudgement | typeof httpRefused;

const httpRefused = { refused: 'http', why: 'http: is not allowed for it' } as const;

/** Whether a connection may be made to a target that has these addresses: all of them are judged, one bad one refuses it. */
export function judgeTarget(target: Pick<Target, 'protocol' | 'host'>, addresses: readonly string[], policy: TargetPolicy): TargetJudgement {
  if (policy.names.has(target.host)) return 'allowed';
  for (const address of addresses) {
    const judgement = judgeAddress(address, policy.networks);
    if (judgement !== 'allowed') return judgement;
  }
  const encrypted = target.protocol === 'https:' || policy.allowHttp;
  return encrypted || addresses.every((address) => isOpened(address, policy)) ? 'allowed' : httpRefused;
}

function isOpened(text: string, policy: TargetPolicy): boolean {
  const address = parseAddress(text);
  return address !== undefined && isWithin(address, policy.networks);
}

function refusalOf(target: Target, judgement: TargetJudgement): TargetRefusal | undefined {
  if (judgement === 'allowed') return undefined;
  if (judgement.refused === 'http') {
    return refuse('target-url-refused', `the target URL is refused: ${judgement.why}; use https:, or set KF_ALLOW_HTTP=true or KF_ALLOW_TARGETS=${target.host}`, { setting: 'KF_ALLOW_HTTP=true' });
  }
  // For a name, the range its addresses are in is a fact about a network that the caller may not know: the name is all they get.
  const literal = isIP(target.host) !== 0 || isLocalhost(target.host);
  const setting = `KF_ALLOW_TARGETS=${literal && judgement.refused !== 'not-public' ? judgement.refused : target.host}`;
  const why = literal ? `its host is ${judgement.why}` : 'its host has an address that is not allowed';
  return refuse('target-url-refused', `the target URL is refused: ${why}; ${setting} would allow it`, { setting });
}

function nameOf(item: string): string {
  const name = URL.parse(`https://${item}`)?.hostname.replace(/\.$/, '') ?? '';
  const plain = /^[^\s/?#@:[\]%\\]+$/.test(item) && isIP(name) === 0 && isDomainName(name);
  if (!plain) throw new AllowedTargetMalformed(item, 'is neither a CIDR, a host name, "loopback" nor "private"');
  return name;
}

function networkOf(item: string): Network {
  const [text = '', prefix] = item.split(/\/(?=\d{1,3}$)/);
  const address = parseAddress(text);
  // An IPv4-mapped address is judged as IPv4, so a network written that way would open nothing.
  if (address === undefined || (address.kind() === 'ipv4' && item.includes(':'))) throw new AllowedTargetMalformed(item, 'is not a CIDR');
  const size = address.toByteArray().length * 8;
  const bits = Number(prefix ?? size);
  if (bits > size) throw new AllowedTargetMalformed(item, 'is not a CIDR');
  const first = firstOf(address, bits);
  if (first !== address.toString()) throw new AllowedTargetMalformed(item, `has bits beyond its prefix; ${first}/${bits} is the network it is in`);
  return [address, bits];
}

const firstOf = (address: Address, bits: number): string =>
  (address instanceof ipaddr.IPv4 ? ipaddr.IPv4 : ipaddr.IPv6).networkAddressFromCIDR(`${address.toString()}/${bits}`).toString();
