import { type ScheduledDelivery, scheduleDelivery } from '#deliveries';
import { appendEach, StreamTombstoned, WrongExpectedRevision } from '#event-store';
import { comparePositions, nextPosition, placeOf, type Position, prefixOf, Recent, type RecordedEvent, type Site, siteKey, startOfLog } from '#kernel';
import { type PublishedEvent, readPublishedEvent } from '#publishing';
import type { SubscriptionVersion } from '#read-models';
import { Stopping } from './endure.ts';
import { Entries } from './entries.ts';
import { Filtering } from './filtering.ts';
import { Follower, type Stretch, type Work, type WorkContext } from './follower.ts';
import { inFlight } from './in-flight.ts';
import type { FanOut, FanOutParts, SagaStatus } from './port.ts';
import { Receivers } from './receivers.ts';

/** Deliveries that are one message to the engine, and how many such messages are under way. */
const appendsTogether = 100;
const togetherInFlight = 8;
/** ORDERED subscriptions that are scheduled for at a time. */
const inTurnInFlight = 512;
/** What filters leave is sent when it comes to so many deliveries. */
const filteredAtOnce = 10_000;
const sitesKept = 10_000;

/** A range of the log: after the one, up to and including the other. */
interface Range {
  readonly after: Position;
  readonly through: Position;
}

/** To ask for so many subscriptions of a site one by one is not less than all of them. */
const mostUnclear = 200;

interface Published {
  readonly event: PublishedEvent;
  readonly recorded: RecordedEvent;
}

/** An event, and the versions of subscriptions that get it. */
interface Addressed extends Published {
  readonly to: readonly SubscriptionVersion[];
}

/**
 * Schedules one delivery per published event and subscription that is ACTIVE and matches at the event's position.
 * `start` and `stop` as those of a saga; its checkpoints are written after the appends are durable.
 *
 * There are two of it, each with a checkpoint: what is scheduled for ORDERED subscriptions is scheduled one by one, and
 * must not hold up the others, whose appends are in flight together.
 */
export function createFanOut(parts: FanOutParts): FanOut {
  const followers = [
    new Follower(parts, new FanOutWork(parts, 'fan-out', { ordered: false })),
    new Follower(parts, new FanOutWork(parts, 'fan-out-ordered', { ordered: true })),
  ];
  return {
    start: () => {
      for (const follower of followers) follower.start();
    },
    stop: async () => {
      await Promise.all(followers.map((follower) => follower.stop()));
    },
    status: () => followers.map((follower) => follower.status()).reduce(joint),
  };
}

/** How far both are, and how either is. */
const joint = (one: SagaStatus, other: SagaStatus): SagaStatus => ({
  name: one.name,
  state: (['STOPPED', 'STARTING'] as const).find((state) => one.state === state || other.state === state) ?? 'RUNNING',
  position: comparePositions(one.position, other.position) <= 0 ? one.position : other.position,
  caughtUp: one.caughtUp && other.caughtUp,
  behindMs: Math.max(one.behindMs, other.behindMs),
  open: one.open + other.open,
  parked: [...one.parked, ...other.parked],
  why: one.why ?? other.why,
});

/**
 * It follows the subscriptions' streams too: the read model is asked who they are when an event of a site first comes, and again
 * only where the log does not say what a change made of a subscription. So the events of a known site wait for no projection, and
 * a Pause costs as much among ten as among ten thousand.
 */
class FanOutWork implements Work {
  readonly name: string;
  readonly prefixes = [prefixOf('event'), prefixOf('webhooksubscription')];
  /** Published events that can't be read, by their stream. */
  readonly entries = new Entries();
  readonly #parts: FanOutParts;
  readonly #ordered: boolean;
  readonly #filtering: Filtering;
  readonly #sites = new Recent<Receivers>(sitesKept);

  constructor(parts: FanOutParts, name: string, { ordered }: { readonly ordered: boolean }) {
    this.#parts = parts;
    this.#filtering = new Filtering(parts.clock);
    this.name = name;
    this.#ordered = ordered;
  }

  nextDueMs(): number {
    return Infinity;
  }

  fire(): Promise<number> {
    return Promise.resolve(0);
  }

  /** Events that could not be read are tried again, each at its own place in the log. */
  async begin(context: WorkContext): Promise<number> {
    const parked = this.entries.parked();
    for (const [instance] of parked) {
      const [event] = await this.#parts.store.readStream(instance, 0, 1);
      this.entries.set(instance, { state: null, parked: null });
      if (event !== undefined) await this.#schedule([event], { after: startOfLog, through: event.position }, context, new Recent(sitesKept));
    }
    return parked.length;
  }

  async react({ events, after }: Stretch, context: WorkContext): Promise<number> {
    const [changes, published] = parted(events, ({ stream }) => stream.startsWith(prefixOf('webhooksubscription')));
    for (const change of changes) this.#fold(change, after);
    await this.#schedule(published, { after, through: events.at(-1)?.position ?? after }, context, this.#sites);
    return published.length;
  }

  #fold(change: RecordedEvent, after: Position): void {
    const { site, id: subscriptionId } = placeOf(change.stream);
    const key = siteKey(site);
    const known = this.#sites.get(key);
    known?.fold(change, { site, subscriptionId }, after);
    if (known !== undefined && known.unclear.size > mostUnclear) this.#sites.delete(key);
  }

  async #schedule(events: readonly RecordedEvent[], range: Range, context: WorkContext, sites: Recent<Receivers>): Promise<void> {
    const published = events.flatMap((recorded) => this.#read(recorded, context));
    const receiversBySite = new Map<string, Receivers>();
    for (const { event } of published) {
      const site = siteKey(event);
      if (!receiversBySite.has(site)) receiversBySite.set(site, await this.#receiversOf(event, range, sites, context.signal));
    }
    // Filters take time: who has none does not wait for them.
    const [filtered, plain] = parted(published, ({ event }) => receiversBySite.get(siteKey(event))?.filtered === true);
    await this.#send(addressed(plain, receiversBySite), context);
    await this.#sendFiltered(addressed(filtered, receiversBySite), context);
  }

  async #send(events: Iterable<Addressed>, context: WorkContext): Promise<void> {
    const nowMs = this.#parts.clock.now();
    const append = (deliveries: readonly ScheduledDelivery[]): Promise<void> => context.endurance.durably(() => this.#append(deliveries));
    if (!this.#ordered) return inFlight(together(events, nowMs), togetherInFlight, append);
    await inFlight(inTurn(events, nowMs), inTurnInFlight, async (deliveries) => {
      for (const delivery of deliveries) await append([delivery]);
    });
  }

  async #sendFiltered(matching: Iterable<Addressed>, context: WorkContext): Promise<void> {
    this.#filtering.begin();
    let wanted: Addressed[] = [];
    let deliveries = 0;
    for (const one of matching) {
      const to = await this.#filtering.wanting(one.to, one.event, context.signal);
      wanted.push({ ...one, to });
      deliveries += to.length;
      if (deliveries < filteredAtOnce) continue;
      await this.#send(wanted, context);
      wanted = [];
      deliveries = 0;
    }
    await this.#send(wanted, context);
  }

  async #reached(position: Position, signal: AbortSignal): Promise<void> {
    try {
      await this.#parts.versions.reached(position, signal);
    } catch (error) {
      throw signal.aborted ? new Stopping('stopped while the projection was behind', { cause: error }) : error;
    }
  }

  async #receiversOf(site: Site, { after, through }: Range, sites: Recent<Receivers>, signal: AbortSignal): Promise<Receivers> {
    const key = siteKey(site);
    const known = sites.get(key);
    if (known?.unclear.size === 0) return known;
    await this.#reached(through, signal);
    const asked = known === undefined ? undefined : [...known.unclear];
    const receivers = known ?? new Receivers(({ deliveryMode }) => (deliveryMode === 'ORDERED') === this.#ordered);
    // One that begins with the last event of the stretch holds for none of it, and is needed for the next.
    receivers.learn(await this.#parts.versions.overlapping(site, after, nextPosition(through), asked), through, asked);
    sites.set(key, receivers);
    return receivers;
  }

  #read(recorded: RecordedEvent, context: WorkContext): readonly Published[] {
    try {
      return [{ event: readPublishedEvent(recorded), recorded }];
    } catch (cause) {
      const error = String(cause);
      const { stream, revision } = recorded;
      this.entries.set(stream, { state: null, parked: { error, sinceMs: this.#parts.clock.now(), inputs: [{ stream, revision, routed: true }], dropped: 0 } });
      context.alarm('instance-parked', stream, error);
      return [];
    }
  }

  /** What is there already was scheduled before; what was removed is not brought back. */
  async #append(deliveries: readonly ScheduledDelivery[]): Promise<void> {
    const results = await appendEach(this.#parts.store, deliveries.map(({ stream, event }) => ({ stream, expected: 'NO_STREAM', event })));
    for (const result of results) if (result instanceof Error && !(result instanceof WrongExpectedRevision || result instanceof StreamTombstoned)) throw result;
  }
}

function* addressed(published: readonly Published[], receivers: ReadonlyMap<string, Receivers>): Generator<Addressed> {
  for (const one of published) yield { ...one, to: receivers.get(siteKey(one.event))?.match(one.event) ?? [] };
}

/** The deliveries, in lists that are appended at once. */
function* together(events: Iterable<Addressed>, nowMs: number): Generator<readonly ScheduledDelivery[]> {
  let list: ScheduledDelivery[] = [];
  for (const { event, recorded, to } of events) {
    for (const receiver of to) {
      if (list.push(scheduleDelivery(event, recorded, receiver, nowMs)) < appendsTogether) continue;
      yield list;
      list = [];
    }
  }
  if (list.length > 0) yield list;
}

/** The deliveries of each subscription, to be appended one after the other: their order in the log is the order in which they are sent. */
function inTurn(events: Iterable<Addressed>, nowMs: number): Iterable<readonly ScheduledDelivery[]> {
  const lists = new Map<string, ScheduledDelivery[]>();
  for (const { event, recorded, to } of events) {
    for (const receiver of to) {
      const delivery = scheduleDelivery(event, recorded, receiver, nowMs);
      const key = `${siteKey(event)}.${receiver.subscriptionId}`;
      const list = lists.get(key);
      if (list === undefined) lists.set(key, [delivery]);
      else list.push(delivery);
    }
  }
  return lists.values();
}

function parted<T>(items: readonly T[], isFirst: (item: T) => boolean): readonly [T[], T[]] {
  const parts: [T[], T[]] = [[], []];
  for (const item of items) parts[isFirst(item) ? 0 : 1].push(item);
  return parts;
}
