import { Resolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import type { Clock } from '#kernel';
import { isLocalhost, localhostAddresses } from './target.ts';

/** The addresses of a host name (lower case, no trailing dot) now. Rejects when there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

export interface ResolverOptions {
  readonly clock: Clock;
  /** How long one name may take in all. */
  readonly timeoutMs?: number;
  /** How many names are asked for at once; others wait their turn. */
  readonly maxInFlight?: number;
  readonly hostsFile?: string;
  /** `address` or `address:port`, instead of the system's. */
  readonly nameServers?: readonly string[];
}

const hostsFileOfPlatform = process.platform === 'win32' ? 'C:\\Windows\\System32\\drivers\\etc\\hosts' : '/etc/hosts';

/**
 * Resolves `localhost` by itself, then by the hosts file, then by the name servers with c-ares: sockets of its own, so a dead
 * name blocks nobody (the C library's resolver shares four threads with the whole process). Callers that want the same name
 * at the same time share one lookup; nothing is remembered after it.
 */
export function createResolver(options: ResolverOptions): Resolve {
  const { clock, timeoutMs = 5_000, maxInFlight = 256, hostsFile = hostsFileOfPlatform, nameServers } = options;
  const inFlight = new Map<string, Promise<readonly string[]>>();
  const waiting: (() => void)[] = [];
  let running = 0;

  const look = async (name: string): Promise<readonly string[]> => {
    if (running < maxInFlight) running += 1;
    else await new Promise<void>((takeOver) => waiting.push(takeOver));
    const deadline = new AbortController();
    const cancel = clock.after(timeoutMs, () => deadline.abort());
    try {
      // Many machines have no hosts file, or none that we may read: then it lists nothing.
      const listed = addressesInHosts(await readFile(hostsFile, 'utf8').catch(() => ''), name);
      return listed.length > 0 ? listed : await queryNameServers(name, nameServers, deadline.signal);
    } finally {
      cancel();
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  };

  return (name) => {
    if (isLocalhost(name)) return Promise.resolve(localhostAddresses);
    const known = inFlight.get(name);
    if (known !== undefined) return known;
    const lookup = look(name).finally(() => inFlight.delete(name));
    inFlight.set(name, lookup);
    return lookup;
  };
}

/** The addresses that the text of a hosts file gives a name, in its order. */
export function addressesInHosts(text: string, name: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    return isIP(address) !== 0 && names.some((candidate) => candidate.toLowerCase() === name) ? [address] : [];
  });
}

/** A and AAAA together; one of them failing is no failure while the other answers. */
async function queryNameServers(name: string, nameServers: readonly string[] | undefined, signal: AbortSignal): Promise<readonly string[]> {
  const resolver = new Resolver({ timeout: 1_500, tries: 2 });
  if (nameServers !== undefined) resolver.setServers(nameServers);
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const addresses = [v4, v6].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (addresses.length === 0) throw new Error(`no address for ${name}`, { cause: v4.status === 'rejected' ? v4.reason : undefined });
    return addresses;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
