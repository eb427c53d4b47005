import type { Site } from '#kernel';
import type { Random } from '../../simulation/random.ts';
import type { StoreFault } from './store.ts';

// What a run does, chosen by a seed: who subscribes to what, how receivers behave, what breaks when. Nothing here does it.

export const site: Site = { tenant: 'soak', environment: 'production' };

/** How the receiver of a subscription answers: always 200; or now and then 500, late, not at all, "too much to do"; or 500 half of the time. */
export type Temper = 'prompt' | 'failing' | 'slow' | 'resetting' | 'overloaded' | 'doomed';

export interface PlannedSubscription {
  readonly id: string;
  /** The first segments of the types that it receives. */
  readonly topics: readonly string[];
  readonly deliveryMode: 'AT_LEAST_ONCE' | 'BEST_EFFORT' | 'ORDERED';
  readonly temper: Temper;
  /** Paused and resumed meanwhile. */
  readonly toggled: boolean;
}

export type Fault =
  /** `kill -9`; it is started again after a while, with its data folder or an empty one. */
  | { readonly kind: 'kill'; readonly server: number; readonly forMs: number; readonly emptyFolder: boolean }
  /** It is asked to end, with SIGTERM; it is started again after a while. */
  | { readonly kind: 'stop'; readonly server: number; readonly forMs: number }
  /** It stands still and does not know: SIGSTOP. */
  | { readonly kind: 'suspend'; readonly server: number; readonly forMs: number }
  | { readonly kind: 'redis-emptied' }
  /** Ended with `kill -9`, and started again after a while: it has forgotten everything. */
  | { readonly kind: 'redis-away'; readonly forMs: number }
  /** It answers nothing, and its connections stay. */
  | { readonly kind: 'redis-hangs'; readonly forMs: number }
  | { readonly kind: 'store'; readonly fault: StoreFault; readonly forMs: number };

export interface PlannedFault {
  /** After the load has begun. */
  readonly atMs: number;
  readonly fault: Fault;
}

export interface SoakPlan {
  readonly seed: number;
  readonly servers: number;
  /** Several dispatchers that divide the work by leases in Redis; without it one process at a time claims it in the log. */
  readonly redis: boolean;
  readonly subscriptions: readonly PlannedSubscription[];
  readonly events: number;
  /** The events are published over so long. */
  readonly loadMs: number;
  readonly faults: readonly PlannedFault[];
  /** After the last fault, and the last event, everything is delivered within so long. */
  readonly settleWithinMs: number;
}

const tempers: readonly Temper[] = ['prompt', 'failing', 'prompt', 'slow', 'prompt', 'prompt', 'resetting', 'prompt', 'prompt', 'overloaded'];

/** Every event reaches one of them, and every second topic two. */
export function subscriptionsOf(count: number): readonly PlannedSubscription[] {
  return Array.from({ length: count }, (_, index): PlannedSubscription => {
    const topics = index % 2 === 0 ? [topic(index), topic((index + 1) % count)] : [topic(index)];
    const doomed = index % 16 === 7;
    const deliveryMode = doomed ? 'BEST_EFFORT' : index % 5 === 0 || index % 10 === 6 ? 'ORDERED' : 'AT_LEAST_ONCE';
    const temper = doomed ? 'doomed' : (tempers[(index + Math.floor(index / tempers.length)) % tempers.length] ?? 'prompt');
    return { id: `sub-${index}`, topics, deliveryMode, temper, toggled: !doomed && index % 6 === 4 };
  });
}

const topic = (index: number): string => `soak${index}`;

export const topicsOf = (subscriptions: readonly PlannedSubscription[]): readonly string[] => [...new Set(subscriptions.flatMap(({ topics }) => topics))];

/** Each kind of fault once, a kill now and then. Takes three quarters of a minute. */
export function eachFaultOnce(random: Random, servers: number): readonly PlannedFault[] {
  const first = random.below(servers);
  const [a, b, c] = [first, (first + 1) % servers, (first + 2) % servers].map((server) => server % servers) as [number, number, number];
  const store = (fault: StoreFault, forMs: number): Fault => ({ kind: 'store', fault, forMs });
  const faults: readonly (readonly [number, Fault])[] = [
    [2_000, store('replies-lost', 400)],
    [4_000, { kind: 'kill', server: a, forMs: 500, emptyFolder: false }],
    [5_000, store('streams-dropped', 0)],
    [7_000, store('not-leader', 1_500)],
    [10_000, store('delivered-again', 0)],
    [12_000, { kind: 'redis-emptied' }],
    [13_000, store('dropped-after-writing', 300)],
    [14_000, { kind: 'kill', server: b, forMs: 1_000, emptyFolder: true }],
    [16_000, store('never-answers', 1_500)],
    [19_000, { kind: 'redis-away', forMs: 12_000 }],
    [20_000, store('silent-subscriptions', 3_000)],
    [25_000, store('not-ready', 1_000)],
    [27_000, { kind: 'kill', server: c, forMs: 500, emptyFolder: false }],
    [29_000, store('down', 3_000)],
    [34_000, store('slow', 1_500)],
  ];
  return faults.map(([atMs, fault]) => ({ atMs: atMs + random.below(500), fault }));
}

const passing: readonly StoreFault[] = ['streams-dropped', 'replies-lost', 'dropped-after-writing', 'dropped-before-writing', 'not-leader', 'not-ready', 'busy', 'never-answers', 'delivered-again', 'silent-subscriptions', 'slow', 'down'];

export interface Storm {
  readonly durationMs: number;
  readonly servers: number;
  /** How long the store is away once. */
  readonly outageMs: number;
}

/** A kill every few seconds, a fault of the store every few seconds, each trouble of Redis and one long outage of the store somewhere between. */
export function stormOf(random: Random, { durationMs, servers, outageMs }: Storm): readonly PlannedFault[] {
  const within = (from: number, to: number): number => from + random.below(to - from);
  const kills: PlannedFault[] = [];
  for (let atMs = 5_000; atMs < durationMs; atMs += within(4_000, 12_000)) {
    kills.push({ atMs, fault: { kind: 'kill', server: random.below(servers), forMs: within(100, 3_000), emptyFolder: random.chance(0.25) } });
  }
  const outage = { atMs: Math.round(durationMs / 2), forMs: outageMs };
  const store: PlannedFault[] = [];
  for (let atMs = 3_000; atMs < durationMs; atMs += within(5_000, 12_000)) {
    const forMs = within(300, 4_000);
    const fault: Fault = { kind: 'store', fault: random.pick(passing), forMs };
    // The end of one would be the end of the other.
    if (atMs + forMs < outage.atMs - 1_000 || atMs > outage.atMs + outage.forMs + 1_000) store.push({ atMs, fault });
  }
  const once: readonly (readonly [number, Fault])[] = [
    [0.15, { kind: 'redis-emptied' }],
    [0.25, { kind: 'redis-away', forMs: 20_000 }],
    [0.4, { kind: 'suspend', server: random.below(servers), forMs: 20_000 }],
    [0.7, { kind: 'redis-hangs', forMs: 20_000 }],
    [0.85, { kind: 'suspend', server: random.below(servers), forMs: 13_000 }],
  ];
  const long: PlannedFault = { atMs: outage.atMs, fault: { kind: 'store', fault: 'down', forMs: outage.forMs } };
  return [...kills, ...store, long, ...once.map(([at, fault]) => ({ atMs: Math.round(at * durationMs) + random.below(2_000), fault }))].sort((one, other) => one.atMs - other.atMs);
}

/** One fault, in words. */
export function nameOfFault(fault: Fault): string {
  switch (fault.kind) {
    case 'kill':
      return `server ${fault.server} is killed${fault.emptyFolder ? ' and loses its data folder' : ''}, for ${fault.forMs} ms`;
    case 'stop':
      return `server ${fault.server} is asked to end, and starts again after ${fault.forMs} ms`;
    case 'suspend':
      return `server ${fault.server} stands still for ${fault.forMs} ms`;
    case 'redis-emptied':
      return 'Redis is emptied';
    case 'redis-away':
      return `Redis is away for ${fault.forMs} ms and forgets everything`;
    case 'redis-hangs':
      return `Redis hangs for ${fault.forMs} ms`;
    case 'store':
      return `the store: ${fault.fault}, for ${fault.forMs} ms`;
  }
}
