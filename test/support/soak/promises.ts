import type { AttemptOutcome, DeliveryEvent } from '#deliveries';
import { comparePositions, isPosition, parseStream, type RecordedEvent, stored } from '#kernel';
import { eventPublished, readPublishedEvent } from '#publishing';
import type { Acknowledged } from '../kill/governed.ts';
import { type PlannedSubscription, site } from './plan.ts';
import type { SeenRequest } from './receiver.ts';

// What must be true of the log, of what receivers saw and of what clients were answered, whatever broke meanwhile. Each sentence
// that is answered is a broken promise. Nothing here drives anything.

/**
 * An outcome must be in the log after so long, when nothing was wrong with the store and its process meanwhile: one that has waited
 * longer keeps everything from being sent.
 */
const recordedWithinMs = 5_000;
/** Clocks of the processes of one machine are one clock, read in whole milliseconds. */
const roundingMs = 3;
/** A sender looks at two clocks when it begins: what holds it up between them is missing from the end of the attempt. */
const heldUpMs = 1_000;
/** Other processes send nothing more so long after Pause was answered. */
const pausedWithinMs = 1_000;
/** What a busy machine takes from a look at the clock to the last byte at the receiver. */
const underWayMs = 1_000;

export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A process from its start to its end, and the connections it made. */
export interface Sender {
  readonly server: number;
  readonly killedAtMs: number | null;
  readonly suspensions: readonly Period[];
  readonly ports: readonly { readonly port: number; readonly sinceMs: number }[];
}

/** A request, and which process sent it; undefined where nobody says so. */
export interface SentRequest extends SeenRequest {
  readonly sender: Sender | undefined;
}

/** An attempt as the log has it. */
export interface LoggedAttempt extends Pick<AttemptOutcome, 'attempt' | 'durationMs' | 'status'> {
  readonly deliveryId: string;
  readonly startedAtMs: number;
  readonly changesState: boolean;
}

interface LoggedDelivery {
  readonly deliveryId: string;
  readonly subscriptionId: string;
  readonly eventId: string;
  readonly eventPosition: string;
}

type Attempted = Extract<DeliveryEvent, { data: AttemptOutcome }>;

const attempted: ReadonlySet<string> = new Set(['WebhookDeliverySucceeded', 'WebhookDeliveryAttemptFailed', 'WebhookDeliveryDeadLettered', 'WebhookDeliveryDuplicateAttempted']);

const idOf = ({ stream }: RecordedEvent): string => parseStream(stream)?.id ?? '';
const ofSite = ({ stream }: RecordedEvent): boolean => parseStream(stream)?.site?.tenant === site.tenant;

export const deliveriesIn = (events: readonly RecordedEvent[]): readonly LoggedDelivery[] =>
  events.filter((event) => event.type === 'WebhookDeliveryScheduled' && ofSite(event)).map((event) => {
    const { subscriptionId, eventId, eventPosition } = stored<Extract<DeliveryEvent, { type: 'WebhookDeliveryScheduled' }>>(event).data;
    return { deliveryId: idOf(event), subscriptionId, eventId, eventPosition };
  });

export const attemptsIn = (events: readonly RecordedEvent[]): readonly LoggedAttempt[] =>
  events.filter(({ type }) => attempted.has(type)).map((event) => {
    const { type, data } = stored<Attempted>(event);
    const { attempt, startedAt, durationMs, status } = data;
    return { deliveryId: idOf(event), attempt, startedAtMs: Date.parse(startedAt), durationMs, status, changesState: type !== 'WebhookDeliveryDuplicateAttempted' };
  });

/** Ids of deliveries, one for each time that the state changed to DELIVERED. */
export const deliveredIn = (events: readonly RecordedEvent[]): readonly string[] => events.filter(({ type }) => type === 'WebhookDeliverySucceeded').map(idOf);

/** Ids of deliveries that were given up at some time. */
export const deadLetteredIn = (events: readonly RecordedEvent[]): readonly string[] => events.filter(({ type }) => type === 'WebhookDeliveryDeadLettered').map(idOf);

/** Which process sent each request: the one that made a connection from that port when the receiver took it. */
export function sentBy(requests: readonly SeenRequest[], senders: readonly Sender[]): readonly SentRequest[] {
  const connections = Map.groupBy(senders.flatMap((sender) => sender.ports.map(({ port, sinceMs }) => ({ port, sinceMs, sender }))), ({ port }) => port);
  return requests.map((request) => {
    const distance = ({ sinceMs }: { readonly sinceMs: number }): number => Math.abs(sinceMs - request.connectedAtMs);
    const [nearest] = (connections.get(request.port) ?? []).toSorted((one, other) => distance(one) - distance(other));
    return { ...request, sender: nearest?.sender };
  });
}

/** Every acknowledged event is in the log once, and no event is there that nobody sent. */
export function eventsAreThereOnce(events: readonly RecordedEvent[], published: readonly string[], offered: ReadonlySet<string>): readonly string[] {
  const there = Map.groupBy(events.filter(({ type }) => type === eventPublished).map(readPublishedEvent).filter(({ operational }) => !operational), ({ eventId }) => eventId);
  return [
    ...published.filter((eventId) => !there.has(eventId)).map((eventId) => `event ${eventId} was acknowledged and is lost`),
    ...[...there].filter(([, all]) => all.length > 1).map(([eventId, all]) => `event ${eventId} is in the log ${all.length} times`),
    ...[...there.keys()].filter((eventId) => !offered.has(eventId)).map((eventId) => `event ${eventId} was sent by nobody`),
  ];
}

/** What must be delivered: every event to those that were active at its place and subscribed to its topic. As `<subscription> <event>`. */
export function expectedDeliveries(events: readonly RecordedEvent[], subscriptions: readonly PlannedSubscription[]): ReadonlySet<string> {
  const byTopic = Map.groupBy(subscriptions.flatMap(({ id, topics }) => topics.map((topic) => ({ id, topic }))), ({ topic }) => topic);
  const active = new Set<string>();
  return new Set(events.flatMap((event) => {
    if (begins.has(event.type)) active.add(idOf(event));
    if (event.type === 'WebhookSubscriptionPaused') active.delete(idOf(event));
    return receiversOf(event, byTopic).filter(({ id }) => active.has(id)).map(({ id }) => `${id} ${event.metadata['publishedid']}`);
  }));
}

const begins: ReadonlySet<string> = new Set(['WebhookSubscriptionCreated', 'WebhookSubscriptionResumed']);

function receiversOf(event: RecordedEvent, byTopic: ReadonlyMap<string, readonly { readonly id: string }[]>): readonly { readonly id: string }[] {
  if (event.type !== eventPublished) return [];
  const { type, operational } = readPublishedEvent(event);
  return operational ? [] : (byTopic.get(type.split('.')[0] ?? '') ?? []);
}

/** Every event is on its way to whom it must reach, once, and to nobody else. */
export function scheduledAsExpected(events: readonly RecordedEvent[], subscriptions: readonly PlannedSubscription[]): readonly string[] {
  const expected = expectedDeliveries(events, subscriptions);
  const scheduled = Map.groupBy(deliveriesIn(events), ({ subscriptionId, eventId }) => `${subscriptionId} ${eventId}`);
  return [
    ...[...expected].filter((pair) => !scheduled.has(pair)).map((pair) => `${pair} was not scheduled`),
    ...[...scheduled.keys()].filter((pair) => !expected.has(pair)).map((pair) => `${pair} was scheduled for nothing`),
    ...[...scheduled].filter(([, all]) => all.length > 1).map(([pair, all]) => `${pair} was scheduled ${all.length} times`),
  ];
}

/** Every delivery changed to DELIVERED exactly once. */
export function deliveredOnce(events: readonly RecordedEvent[]): readonly string[] {
  const times = Map.groupBy(deliveredIn(events), (deliveryId) => deliveryId);
  return deliveriesIn(events).flatMap(({ deliveryId, subscriptionId }) => {
    const count = times.get(deliveryId)?.length ?? 0;
    return count === 1 ? [] : [`${deliveryId} to ${subscriptionId} changed to DELIVERED ${count} times`];
  });
}

export interface Matched {
  /** Requests that have no attempt in the log. */
  readonly unrecorded: readonly SentRequest[];
  /** Attempts that have a status although the receiver saw no such request. */
  readonly unseen: readonly LoggedAttempt[];
}

/** Which request is which attempt: it arrived while the attempt was under way, and was answered with its status. */
export function matched(requests: readonly SentRequest[], attempts: readonly LoggedAttempt[]): Matched {
  const byDelivery = Map.groupBy(attempts, ({ deliveryId }) => deliveryId);
  const unrecorded: SentRequest[] = [];
  const taken = new Set<LoggedAttempt>();
  const endOf = ({ startedAtMs, durationMs }: LoggedAttempt): number => startedAtMs + durationMs;
  for (const request of requests.toSorted((one, other) => one.arrivedAtMs - other.arrivedAtMs)) {
    const fits = (attempt: LoggedAttempt): boolean =>
      !taken.has(attempt) && attempt.startedAtMs <= request.arrivedAtMs + roundingMs && request.arrivedAtMs <= endOf(attempt) + heldUpMs && (attempt.status === null || attempt.status === request.status);
    // What ends first must be given away first, or it has nothing in the end.
    const [first] = (byDelivery.get(request.deliveryId) ?? []).filter(fits).toSorted((one, other) => endOf(one) - endOf(other));
    if (first === undefined) unrecorded.push(request);
    else taken.add(first);
  }
  return { unrecorded, unseen: attempts.filter((attempt) => attempt.status !== null && !taken.has(attempt)) };
}

/** How much of a period was outside of all the others. */
export function calmMs({ fromMs, toMs }: Period, troubles: readonly Period[]): number {
  let calm = 0;
  let atMs = fromMs;
  for (const trouble of troubles.toSorted((one, other) => one.fromMs - other.fromMs)) {
    if (trouble.fromMs > atMs) calm += Math.min(trouble.fromMs, toMs) - atMs;
    atMs = Math.min(Math.max(atMs, trouble.toMs), toMs);
  }
  return calm + Math.max(0, toMs - atMs);
}

/**
 * Every request has an attempt in the log, except those of a killed process that had no answer when it was killed, or one that could
 * not be in the log yet: the store was in trouble since, or there was no time.
 */
export function requestsAreRecorded({ unrecorded, unseen }: Matched, troubles: readonly Period[]): readonly string[] {
  const excused = ({ sender, status, endedAtMs }: SentRequest): boolean => {
    if (sender?.killedAtMs === null || sender === undefined) return false;
    return status === null || calmMs({ fromMs: endedAtMs, toMs: sender.killedAtMs }, [...troubles, ...sender.suspensions]) < recordedWithinMs;
  };
  return [
    ...unrecorded.filter((request) => !excused(request)).map((request) => `${inWords(request)} has no attempt in the log`),
    ...unseen.map(({ deliveryId, attempt, status }) => `attempt ${attempt} of ${deliveryId} has status ${status} and was not seen`),
  ];
}

/**
 * While the store is away, a process sends nothing more once an outcome has waited 5 s to be recorded: what it had under way, and what
 * it began within that time, is recorded later.
 */
export function nothingIsSentInVain(requests: readonly SentRequest[], outages: readonly Period[]): readonly string[] {
  const bySender = Map.groupBy(requests.filter(({ sender }) => sender !== undefined), ({ sender }) => sender);
  return outages.flatMap(({ fromMs, toMs }) => [...bySender.values()].flatMap((sent) => {
    const waiting = sent.filter(({ endedAtMs, status }) => status !== null && endedAtMs > fromMs && endedAtMs < toMs).map(({ endedAtMs }) => endedAtMs);
    const stopsAtMs = Math.min(...waiting) + recordedWithinMs + underWayMs;
    return sent.filter((request) => request.arrivedAtMs > stopsAtMs && request.arrivedAtMs < toMs && !cameToItself(request)).map((request) => `${inWords(request)} came ${request.arrivedAtMs - fromMs} ms after the store had gone`);
  }));
}

const inWords = ({ deliveryId, subscriptionId, sender, arrivedAtMs, endedAtMs, status }: SentRequest): string => {
  const by = sender === undefined ? 'nobody known' : `server ${sender.server}, ${sender.killedAtMs === null ? 'which was not killed' : `killed ${sender.killedAtMs - endedAtMs} ms later`}`;
  return `the request of ${deliveryId} to ${subscriptionId} at ${new Date(arrivedAtMs).toISOString()} (${status ?? 'cut'}) by ${by}`;
};

/** One delivery has one webhook-id, on every request. */
export function oneIdEach(requests: readonly SentRequest[]): readonly string[] {
  const ids = Map.groupBy(requests, ({ subscriptionId, eventId }) => `${subscriptionId} ${eventId}`);
  return [...ids].filter(([, all]) => new Set(all.map(({ deliveryId }) => deliveryId)).size > 1).map(([pair]) => `${pair} came under several webhook-ids`);
}

const orderedOnes = (subscriptions: readonly PlannedSubscription[]): ReadonlySet<string> => new Set(subscriptions.filter(({ deliveryMode }) => deliveryMode === 'ORDERED').map(({ id }) => id));

/** To an ORDERED subscription, events change to DELIVERED in the order of the log, and so does the receiver see them for the first time with success. */
export function orderedInOrder(events: readonly RecordedEvent[], requests: readonly SentRequest[], subscriptions: readonly PlannedSubscription[]): readonly string[] {
  const deliveries = new Map(deliveriesIn(events).map((delivery) => [delivery.deliveryId, delivery]));
  const succeeded = requests.filter(({ status }) => status === 200).toSorted((one, other) => one.arrivedAtMs - other.arrivedAtMs);
  const firsts = [...new Set(succeeded.map(({ deliveryId }) => deliveryId))];
  const broken = (ids: readonly string[], where: string): readonly string[] => {
    const lanes = Map.groupBy(ids.flatMap((id) => deliveries.get(id) ?? []), ({ subscriptionId }) => subscriptionId);
    return [...lanes].filter(([id]) => orderedOnes(subscriptions).has(id)).flatMap(([id, lane]) =>
      lane.flatMap(({ deliveryId, eventPosition }, index) => {
        const before = lane[index - 1];
        return before === undefined || comparePositions(before.eventPosition, eventPosition) < 0 ? [] : [`${deliveryId} to ${id} came after ${before.deliveryId}, ${where}`];
      }),
    );
  };
  return [...broken(deliveredIn(events), 'in the log'), ...broken(firsts, 'at the receiver')];
}

/**
 * To an ORDERED subscription, one request is under way at a time; except those of a process that stood still: it can send one more
 * when it comes to itself.
 */
export function orderedOneAtATime(requests: readonly SentRequest[], subscriptions: readonly PlannedSubscription[]): readonly string[] {
  const lanes = Map.groupBy(requests, ({ subscriptionId }) => subscriptionId);
  return [...lanes].filter(([id]) => orderedOnes(subscriptions).has(id)).flatMap(([, lane]) => {
    const inTurn = lane.filter((request) => !cameToItself(request)).toSorted((one, other) => one.arrivedAtMs - other.arrivedAtMs);
    return inTurn.flatMap((request, index) => {
      const before = inTurn[index - 1];
      return before === undefined || before.endedAtMs <= request.arrivedAtMs + roundingMs ? [] : [`${inWords(request)} came ${before.endedAtMs - request.arrivedAtMs} ms before the end of ${inWords(before)}`];
    });
  });
}

/** Sent by a process that had just stood still, or under way when it did. */
const cameToItself = ({ sender, arrivedAtMs, endedAtMs }: SentRequest): boolean =>
  sender?.suspensions.some(({ fromMs, toMs }) => endedAtMs >= fromMs - underWayMs && arrivedAtMs <= toMs + underWayMs) ?? false;

/** From a second after Pause was answered until Resume was decided, nothing is sent; except by a process that stood still. */
export function pausedMeansPaused(events: readonly RecordedEvent[], requests: readonly SentRequest[], acknowledged: readonly Acknowledged[]): readonly string[] {
  const answered = new Map(acknowledged.map(({ commandId, answeredAtMs }) => [commandId, answeredAtMs]));
  const arrivals = Map.groupBy(requests, ({ subscriptionId }) => subscriptionId);
  const changes = Map.groupBy(events.filter(({ type }) => type === 'WebhookSubscriptionPaused' || type === 'WebhookSubscriptionResumed'), idOf);
  return [...changes].flatMap(([id, lane]) =>
    lane.flatMap((change, index) => {
      const pausedAtMs = change.type === 'WebhookSubscriptionPaused' ? answered.get(change.metadata['commandid'] ?? '') : undefined;
      if (pausedAtMs === undefined) return [];
      const resumed = lane[index + 1];
      const resumedAtMs = resumed === undefined ? Infinity : Date.parse(resumed.metadata['recordedat'] ?? '');
      const late = (arrivals.get(id) ?? []).filter((request) => request.arrivedAtMs > pausedAtMs + pausedWithinMs + underWayMs && request.arrivedAtMs < resumedAtMs && !cameToItself(request));
      return late.map((request) => `${inWords(request)} came ${request.arrivedAtMs - pausedAtMs} ms after Pause was answered`);
    }),
  );
}

export interface AskedAgain {
  readonly first: Acknowledged;
  readonly again: Readonly<Record<string, unknown>> | string;
}

/**
 * Who sends a command again is answered what was answered before, without the secret. The position may have been a later one the first
 * time: where the reply to an append was lost, that of the head stands for it.
 */
export function repeatsAreEqual(repeats: readonly AskedAgain[]): readonly string[] {
  return repeats.flatMap(({ first, again }) => {
    if (typeof again === 'string') return [`${first.commandType} ${first.commandId} was not answered again: ${again}`];
    const { commandId, commandType, resourceId, outcome, revision, result } = first;
    const position = String(again['position']);
    const isEarlier = isPosition(position) && comparePositions(position, first.position) <= 0;
    const expected = { commandId, commandType, resourceId, outcome, revision, position: isEarlier ? position : first.position, replayed: true, result: 'secret' in result ? { ...result, secret: null } : result };
    const differing = Object.entries(expected).filter(([name, value]) => JSON.stringify(again[name]) !== JSON.stringify(value));
    return differing.map(([name, value]) => `${commandType} ${commandId} was answered again with ${name} ${JSON.stringify(again[name])} in place of ${JSON.stringify(value)}`);
  });
}
