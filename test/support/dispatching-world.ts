import { type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery, type TranscriptsRecorded } from '#deliveries';
import { type Alarm, type AttemptLine, createDispatcher, type Dispatcher, type DispatcherLimits, type DueFeed, type FedDelivery, type OpenQuestion, partitions, type SendRequest, type SentRequest } from '#dispatching';
import { type AppendResult, type EventStore, type ExpectedRevision } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { comparePositions, deliveryId, type DomainEvent, eventStream, formatInstant, isLedgerEvent, type NewEvent, parseStream, type Position, type RecordedEvent, Secret, type Site, startOfLog, stored, streamOf } from '#kernel';
import { eventPublished } from '#publishing';
import { SigningSecretUnavailable } from '#secret-vault';
import { type DeliveryMode, evolveSubscription, initialSubscription, type SubscriptionEvent } from '#subscriptions';
import { seededIds } from './seeded-ids.ts';
import { simulatedClock, type SimulatedClock } from './simulated-clock.ts';

export const site: Site = { tenant: 'acme', environment: 'production' };

/** What the receiver does with a request: a status, more of an answer, an error code, or silence until it is aborted. */
export type Reply = number | { readonly status?: number; readonly retryAfterMs?: number | null; readonly error?: string; readonly afterMs?: number } | 'hang';

export interface Sent {
  readonly atMs: number;
  readonly url: string;
  readonly webhookId: string;
  readonly eventId: string;
  readonly body: string;
  readonly keys: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  /** Starts at 1 for the first request of this delivery that the receiver saw. */
  readonly nth: number;
}

/** What may go wrong with an append: thrown before it, or instead of its answer. */
export interface Fault {
  readonly before?: Error;
  readonly after?: Error;
  /** Waits for it before the append is made. */
  readonly stall?: Promise<void>;
}

interface Answer {
  readonly status?: number | undefined;
  readonly error: string | null;
  readonly retryAfterMs: number | null;
  readonly afterMs: number;
}

function answerOf(reply: Reply, timeoutMs: number): Answer {
  const answer: Answer = { error: null, retryAfterMs: null, afterMs: 5 };
  if (reply === 'hang') return { ...answer, error: 'timeout', afterMs: timeoutMs };
  return typeof reply === 'number' ? { ...answer, status: reply } : { ...answer, ...reply };
}

function transcriptOf({ url, webhookId }: SendRequest, { status, error, retryAfterMs, afterMs }: Answer, startedAtMs: number, endedAtMs: number): SentRequest {
  const response = status === undefined ? null : { status, headers: { 'content-type': 'text/plain' }, body: 'ok', truncated: false };
  const timings = { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: afterMs, totalMs: afterMs };
  const request = { method: 'POST', url, headers: { 'webhook-id': webhookId } };
  return { startedAt: formatInstant(startedAtMs), durationMs: endedAtMs - startedAtMs, request, response, error, timings, remoteAddress: '192.0.2.1', retryAfterMs };
}

interface Row {
  readonly fed: FedDelivery;
  readonly state: DeliveryState;
}

/** The read model of open deliveries, folded from the log up to where `commit` was called. */
class FakeReadModel implements DueFeed {
  readonly rows = new Map<string, Row>();
  readonly queries: OpenQuestion[] = [];
  readonly cancelledAt = new Map<string, Position>();
  /** Attempts in a row that failed, by subscription. */
  readonly failures = new Map<string, number>();
  readonly #deleted = new Set<string>();
  readonly #waiting = new Map<() => void, Position>();
  #position: Position = startOfLog;
  fault: Error | undefined;
  /** Keeps the answer to who has open deliveries back: it was read before. */
  slowLanes: () => Promise<void> | undefined = () => undefined;
  /** Keeps an answer back: what it says was read before. */
  slow: (question: OpenQuestion) => Promise<void> | undefined = () => undefined;

  apply(event: RecordedEvent): void {
    const parsed = parseStream(event.stream);
    if (parsed === undefined) return;
    if (event.type === 'WebhookSubscriptionRestored') this.#deleted.delete(parsed.id);
    if (event.type === 'WebhookSubscriptionDeleted') {
      this.#deleted.add(parsed.id);
      this.cancelledAt.set(parsed.id, event.position);
    }
    if (event.stream.startsWith('webhookdelivery-')) this.#applyToDelivery(event, parsed.site, parsed.id);
  }

  #applyToDelivery(event: RecordedEvent, of: Site, id: string): void {
    const before = this.rows.get(id)?.state ?? initialDelivery;
    const state = isLedgerEvent(event) ? before : evolveDelivery(before, stored<DeliveryEvent>(event));
    if (state.status === 'NONE') return;
    const { subscriptionId, incarnation, eventId, eventType, eventStream: stream, attempts, attemptsCounted, lastChance, scheduledPosition, openedPosition } = state;
    this.#count(event, subscriptionId);
    const dueAtMs = state.status === 'SCHEDULED' ? state.nextAttemptAtMs : state.updatedAtMs;
    const names = { site: of, deliveryId: id, subscriptionId, incarnation, eventId, eventType, eventStream: stream };
    this.rows.set(id, { state, fed: { ...names, revision: event.revision, attempts, attemptsCounted, lastChance, scheduledPosition, openedPosition, dueAtMs } });
  }

  /** Everything up to here was applied. */
  stand(position: Position): void {
    this.#position = position;
    for (const [wake, awaited] of this.#waiting) if (comparePositions(awaited, position) <= 0 && this.#waiting.delete(wake)) wake();
  }

  async reached(position: Position): Promise<void> {
    if (comparePositions(this.#position, position) < 0) await new Promise<void>((wake) => this.#waiting.set(wake, position));
  }

  #count({ type }: RecordedEvent, subscriptionId: string): void {
    if (type === 'WebhookDeliverySucceeded') this.failures.delete(subscriptionId);
    if (type === 'WebhookDeliveryAttemptFailed') this.failures.set(subscriptionId, 1 + (this.failures.get(subscriptionId) ?? 0));
  }

  async lanes(): ReturnType<DueFeed['lanes']> {
    const open = [...this.rows.values()].filter((row) => this.#isOpen(row));
    await this.slowLanes();
    return [...new Map(open.map(({ fed }) => [fed.subscriptionId, { site: fed.site, subscriptionId: fed.subscriptionId, failures: this.failures.get(fed.subscriptionId) ?? 0 }])).values()];
  }

  async open(question: OpenQuestion): Promise<readonly FedDelivery[]> {
    const { subscriptionId, status, order, after, limit } = question;
    this.queries.push(question);
    if (this.fault !== undefined) throw this.fault;
    const compare = (a: { dueAtMs: number; scheduledPosition: Position }, b: { dueAtMs: number; scheduledPosition: Position }): number =>
      (order === 'due' ? a.dueAtMs - b.dueAtMs : 0) || comparePositions(a.scheduledPosition, b.scheduledPosition);
    const answer = [...this.rows.values()]
      .filter((row) => row.fed.subscriptionId === subscriptionId && row.state.status === status && this.#isOpen(row) && (after === null || compare(row.fed, after) > 0))
      .map(({ fed }) => fed)
      .sort(compare)
      .slice(0, limit);
    await this.slow(question);
    return answer;
  }

  #isOpen({ state, fed }: Row): boolean {
    if ((state.status !== 'PENDING' && state.status !== 'SCHEDULED') || this.#deleted.has(fed.subscriptionId)) return false;
    return comparePositions(this.cancelledAt.get(fed.subscriptionId) ?? startOfLog, state.openedPosition) < 0;
  }
}

/** What the processes of one world share; `sent` is by whichever of them. */
interface Surroundings {
  readonly clock: SimulatedClock;
  readonly log: MemoryLog;
  readonly sent: Sent[];
  readonly processes: Set<DispatchingWorld>;
}

/** A dispatcher in a world of its own: simulated time, a log in memory that can fail, receivers that do as they are told. Given another one, a further process of its world. */
export class DispatchingWorld {
  readonly clock: SimulatedClock;
  readonly log: MemoryLog;
  readonly ids;
  readonly surroundings: Surroundings;
  readonly #memory: EventStore;
  readModel = new FakeReadModel();
  dispatcher: Dispatcher | undefined;
  readonly sent: Sent[];
  readonly alarms: Alarm[] = [];
  readonly lines: AttemptLine[] = [];
  /** Requests under way by subscription, and the most there ever were. */
  readonly underWay = new Map<string, number>();
  readonly mostUnderWay = new Map<string, number>();
  /** Whose subscription it is, by its id. */
  siteOf: (subscriptionId: string) => Site = () => site;
  readonly #sitesOfDeliveries = new Map<string, Site>();
  limits: Partial<DispatcherLimits> = {};
  schedule: readonly number[] | undefined;
  held: (partition: number) => boolean = () => true;
  transcriptPartition = 0;
  /** By the URL's host, which is the subscription's id. */
  reply: (request: Sent) => Reply = () => 200;
  fault: (stream: string, events: readonly NewEvent[]) => Fault | undefined = () => undefined;
  /** Versions that the vault can't open now. */
  readonly unavailableSecrets = new Set<string>();
  secretsAskedFor = 0;
  /** Whether the read model follows the log by itself. */
  follows = true;
  /** Whether the dispatcher is told of the log before the read model has it. */
  reads = false;
  /** Keeps what was read from a stream back. */
  slowRead: (stream: string) => Promise<void> | undefined = () => undefined;
  #shownTo: Position = startOfLog;
  #readTo: Position = startOfLog;
  #life = 0;

  constructor(seed = 1, first?: DispatchingWorld) {
    this.ids = seededIds(seed);
    this.surroundings = first?.surroundings ?? { clock: simulatedClock(), log: new MemoryLog(), sent: [], processes: new Set() };
    this.surroundings.processes.add(this);
    this.clock = this.surroundings.clock;
    this.log = this.surroundings.log;
    this.sent = this.surroundings.sent;
    this.#memory = createMemoryEventStore(this.log);
  }

  readonly store: EventStore = {
    append: async (stream, expected, events) => {
      const fault = this.fault(stream, events);
      if (fault?.stall !== undefined) await fault.stall;
      if (fault?.before !== undefined) throw fault.before;
      const result = await this.#append(stream, expected, events);
      if (fault?.after !== undefined) throw fault.after;
      return result;
    },
    readStream: async (stream, from, limit) => {
      const events = await this.#memory.readStream(stream, from, limit);
      await this.slowRead(stream);
      return events;
    },
    readAll: (after, filter, limit) => this.#memory.readAll(after, filter, limit),
    subscribe: (after, filter, signal) => this.#memory.subscribe(after, filter, signal),
    tombstone: (stream) => this.#memory.tombstone(stream),
    head: () => this.#memory.head(),
    close: () => this.#memory.close(),
  };

  async #append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    const result = await this.#memory.append(stream, expected, events);
    for (const process of this.surroundings.processes) {
      if (process.reads) void Promise.resolve().then(() => process.read());
      if (process.follows) void Promise.resolve().then(() => process.commit());
    }
    return result;
  }

  /** The dispatcher is told what stands in the log, which the read model may not have yet. */
  read(): void {
    const news = this.log.events.slice(Number(this.#readTo));
    const position = news.at(-1)?.position;
    if (position === undefined) return;
    this.#readTo = position;
    this.dispatcher?.onRead({ position, events: news });
  }

  /** The read model takes in what it has not seen, or so much of it, and tells the dispatcher. */
  commit(most = Infinity): void {
    const news = this.log.events.slice(Number(this.#shownTo)).slice(0, most);
    const position = news.at(-1)?.position;
    if (position === undefined) return;
    this.#shownTo = position;
    for (const event of news) this.readModel.apply(event);
    this.readModel.stand(position);
    this.dispatcher?.onCommitted({ position, events: news });
  }

  async start(taken: readonly number[] = partitions): Promise<Dispatcher> {
    this.commit();
    this.#readTo = this.#shownTo;
    this.#life += 1;
    const life = this.#life;
    const dispatcher = createDispatcher({
      feed: { lanes: () => this.readModel.lanes(), open: (question) => this.readModel.open(question), reached: (position) => this.readModel.reached(position) },
      subscription: async (of, id) => {
        const history = await this.store.readStream(streamOf('webhooksubscription', of, id));
        return { state: history.map((event) => stored<SubscriptionEvent>(event)).reduce(evolveSubscription, initialSubscription), revision: history.length };
      },
      store: this.#storeOf(life),
      send: (request) => this.#receive(request, life),
      vault: {
        open: (_place, { versionId }) => {
          this.secretsAskedFor += 1;
          return this.unavailableSecrets.has(versionId) ? Promise.reject(new SigningSecretUnavailable(`secret version ${versionId} can't be read now`)) : Promise.resolve(new Secret<Uint8Array>(Buffer.from(`key of ${versionId}`)));
        },
      },
      clock: this.clock,
      ids: this.ids,
      limits: this.limits,
      held: (partition) => this.held(partition),
      transcriptPartition: () => this.transcriptPartition,
      ...(this.schedule === undefined ? {} : { schedule: this.schedule }),
      onAlarm: (alarm) => this.alarms.push(alarm),
      onAttempt: (line) => this.lines.push(line),
    });
    this.dispatcher = dispatcher;
    await dispatcher.take(taken);
    await this.settle();
    return dispatcher;
  }

  /** The process dies: nothing of it is heard again. What it had sent may still arrive in the log, or not, as `fault` says. */
  kill(): void {
    this.#life += 1;
    this.dispatcher = undefined;
  }

  async settle(): Promise<void> {
    await this.clock.advance(0);
  }

  async #receive(request: SendRequest, life: number): Promise<SentRequest> {
    await this.#alive(life);
    const startedAtMs = this.clock.now();
    const sent = this.#note(request, startedAtMs);
    const host = new URL(request.url).host;
    const answer = answerOf(this.reply(sent), request.timeoutMs);
    const aborted = await this.#after(answer.afterMs, request.signal);
    this.underWay.set(host, (this.underWay.get(host) ?? 1) - 1);
    await this.#alive(life);
    return transcriptOf(request, aborted ? { ...answer, status: undefined, error: 'aborted' } : answer, startedAtMs, this.clock.now());
  }

  #note({ url, webhookId, body: bytes, keys, headers }: SendRequest, atMs: number): Sent {
    const host = new URL(url).host;
    const body = Buffer.from(bytes).toString();
    const nth = 1 + this.sent.filter((before) => before.webhookId === webhookId).length;
    const sent: Sent = { atMs, url, webhookId, eventId: (JSON.parse(body) as { id: string }).id, body, keys: keys.map((key) => Buffer.from(key.reveal()).toString()), headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, value.reveal()])), nth };
    this.sent.push(sent);
    const underWay = (this.underWay.get(host) ?? 0) + 1;
    this.underWay.set(host, underWay);
    this.mostUnderWay.set(host, Math.max(underWay, this.mostUnderWay.get(host) ?? 0));
    return sent;
  }

  /** A dead process does nothing more and hears nothing more. */
  async #alive(life: number): Promise<void> {
    if (life !== this.#life) await new Promise(() => undefined);
  }

  #storeOf(life: number): Pick<EventStore, 'append' | 'readStream'> {
    const living = async <T>(work: () => Promise<T>): Promise<T> => {
      await this.#alive(life);
      try {
        return await work();
      } finally {
        await this.#alive(life);
      }
    };
    return {
      append: (...args) => living(() => this.store.append(...args)),
      readStream: (...args) => living(() => this.store.readStream(...args)),
    };
  }

  #after(ms: number, signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(true);
    return new Promise((resolve) => {
      const cancel = this.clock.after(ms, () => resolve(false));
      signal.addEventListener('abort', () => {
        cancel();
        resolve(true);
      });
    });
  }

  // What others do

  async #write(of: Site, stream: string, event: DomainEvent<string, object> & { readonly dataText?: string }, more: Record<string, string> = {}): Promise<RecordedEvent> {
    const revision = (this.log.streams.get(stream)?.length ?? 0) - 1;
    const metadata = { recordedat: formatInstant(this.clock.now()), ...of, correlationid: 'corr-1', ...more };
    const written = { id: this.ids.uuid(), type: event.type, data: event.dataText ?? JSON.stringify(event.data), metadata };
    const { revision: at } = await this.#append(stream, revision < 0 ? 'NO_STREAM' : revision, [written]);
    const recorded = this.log.streams.get(stream)?.[at];
    if (recorded === undefined) throw new Error('not written');
    return recorded;
  }

  onSubscription(id: string, event: SubscriptionEvent): Promise<RecordedEvent> {
    return this.#write(this.siteOf(id), streamOf('webhooksubscription', this.siteOf(id), id), event);
  }

  onDelivery(id: string, event: DomainEvent<string, object>): Promise<RecordedEvent> {
    const of = this.#siteOfDelivery(id);
    return this.#write(of, streamOf('webhookdelivery', of, id), event);
  }

  /** A subscription whose receiver is `https://<id>/hook`. */
  subscribe(id: string, mode: DeliveryMode = 'AT_LEAST_ONCE', status: 'ACTIVE' | 'PAUSED' = 'ACTIVE'): Promise<RecordedEvent> {
    const settings = { eventPattern: '**', targetUrl: `https://${id}/hook`, deliveryMode: mode, description: null };
    return this.onSubscription(id, { type: 'WebhookSubscriptionCreated', data: { ...settings, status, secret: { versionId: `${id}-1`, kind: 'managed', fingerprint: 'f' } } });
  }

  /** Publishes an event and schedules its delivery to each subscription, all of one site; answers the ids of the deliveries. */
  async publish(eventId: string, to: readonly string[], dataText = '{"n":1}'): Promise<string[]> {
    const of = to[0] === undefined ? site : this.siteOf(to[0]);
    const event = await this.#write(of, eventStream(of, eventId), { type: eventPublished, data: {}, dataText }, { publishedid: eventId, publishedtype: 'order.placed' });
    const ids: string[] = [];
    for (const subscriptionId of to) ids.push(await this.scheduleDelivery(eventId, subscriptionId, event.position));
    await this.settle();
    return ids;
  }

  /** What the fan-out does; also for an event that is not there. */
  async scheduleDelivery(eventId: string, subscriptionId: string, eventPosition: Position = '1', incarnation = this.incarnationOf(subscriptionId)): Promise<string> {
    const of = this.siteOf(subscriptionId);
    const id = deliveryId(of, eventId, subscriptionId, this.clock.now());
    this.#sitesOfDeliveries.set(id, of);
    const data = { subscriptionId, incarnation, eventId, eventType: 'order.placed', eventPosition, eventStream: eventStream(of, eventId), operational: false };
    await this.onDelivery(id, { type: 'WebhookDeliveryScheduled', data });
    return id;
  }

  incarnationOf(subscriptionId: string): string {
    return this.log.streams.get(streamOf('webhooksubscription', this.siteOf(subscriptionId), subscriptionId))?.findLast(({ type }) => type === 'WebhookSubscriptionCreated')?.id ?? '';
  }

  // What came of it

  deliveryEvents(id: string): readonly RecordedEvent[] {
    return this.log.streams.get(streamOf('webhookdelivery', this.#siteOfDelivery(id), id)) ?? [];
  }

  #siteOfDelivery(id: string): Site {
    return this.#sitesOfDeliveries.get(id) ?? site;
  }

  delivery(id: string): DeliveryState {
    return this.deliveryEvents(id)
      .filter((event) => !isLedgerEvent(event))
      .map((event) => stored<DeliveryEvent>(event))
      .reduce(evolveDelivery, initialDelivery);
  }

  transcripts(): TranscriptsRecorded['data']['transcripts'] {
    return this.log.events.filter(({ stream }) => stream.startsWith('transcript-')).flatMap(({ data }) => (JSON.parse(data) as TranscriptsRecorded['data']).transcripts);
  }

  sentTo(subscriptionId: string): readonly Sent[] {
    return this.sent.filter(({ url }) => url === `https://${subscriptionId}/hook`);
  }
}
