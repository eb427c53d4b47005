import type { EventBatch, EventStore } from '#event-store';
import { type Clock, comparePositions, laterPosition, type Position, prefixOf, type RecordedEvent, sleep, startOfLog } from '#kernel';
import type { Standing } from './model-file.ts';
import { ReadModelsUnavailable } from './errors.ts';
import { ModelThread } from './model-thread.ts';
import type { Committed, ProjectionStatus, ReadModelAlarm } from './port.ts';
import { followed } from './projections.ts';
import type { Queries } from './queries/all.ts';
import { readAhead } from './read-ahead.ts';
import { whyOfAnotherLog } from './same-log.ts';

export interface ProjectorParts {
  readonly store: EventStore;
  readonly clock: Clock;
  /** The live file. */
  readonly path: string;
  readonly historyDays: number;
  /** How long it rests between two batches while nobody waits for the second. */
  readonly restMs: number;
  readonly onAlarm: (alarm: ReadModelAlarm) => void;
}

/** How long a projector that failed waits before it tries again. */
const retryMs = 1_000;

interface Waiter {
  readonly position: Position;
  readonly names: readonly string[];
  readonly reached: () => void;
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'it threw no error');
const inThousands = [prefixOf('event'), prefixOf('webhookdelivery'), prefixOf('transcript')];
const mayWait = ({ stream }: RecordedEvent): boolean => inThousands.some((prefix) => stream.startsWith(prefix));

export const runs = (standing: Standing): boolean => standing.poison === null && !standing.outdated;

/** Where reading has to begin, so that every projection that runs gets what it has not seen; undefined when none runs. */
export const lowest = (standings: readonly Standing[]): Position | undefined =>
  standings.filter(runs).reduce<Position | undefined>((low, { position }) => (low === undefined || comparePositions(position, low) < 0 ? position : low), undefined);

const highest = (standings: readonly Standing[]): Position => standings.filter(runs).reduce((high, { position }) => laterPosition(high, position), startOfLog);

/** Follows the log and hands it, batch by batch, to the thread that folds. One batch is folded while the next is read. */
export class Projector {
  readonly #parts: ProjectorParts;
  #thread: ModelThread;
  #standings: readonly Standing[] = [];
  #caughtUp = false;
  #failure: string | null = null;
  /** Per projection, when it last stood at the head, on the monotonic clock. */
  readonly #atHeadMs = new Map<string, number>();
  #told: Position = startOfLog;
  /** Everything up to here was there to be asked for. */
  #shown: Position = startOfLog;
  /** What was folded last waits for the head to be written. */
  #leavesUnwritten = false;
  /** As `#told`, of what was read. */
  #toldRead: Position = startOfLog;
  readonly #listeners = new Set<(committed: Committed) => void>();
  readonly #readers = new Set<(read: Committed) => void>();
  readonly #waiters = new Set<Waiter>();
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  /** What uses the live file alone: folding, and its exchange for another. */
  #alone: Promise<unknown> = Promise.resolve();
  /** What was read up to here is to be folded at once. */
  #urgentTo: Position = startOfLog;
  #endRest: () => void = () => undefined;
  /** While the live file is exchanged, nobody asks. */
  #exchange: Promise<void> | undefined;

  constructor(parts: ProjectorParts) {
    this.#parts = parts;
    this.#thread = new ModelThread();
  }

  /** Opens the live file. One that can't be read, or that is ahead of the log, is made anew. */
  async open(): Promise<void> {
    const { store, clock, path, historyDays } = this.#parts;
    const opened = await this.#thread.ask('open', { path, historyDays });
    if (opened.unreadable !== null) this.#alarm('read-models-remade', null, `the file was no read model (${opened.unreadable}) and is built anew`);
    const head = await store.head();
    const foreign = await whyOfAnotherLog(store, opened.lastEvent, highest(opened.standings));
    if (foreign !== null) this.#alarm('read-models-remade', null, `${foreign}; it is built anew`);
    this.#standings = foreign !== null ? (await this.#thread.ask('reset', { path, historyDays })).standings : opened.standings;
    this.#told = this.#standings.some(runs) ? highest(this.#standings) : head;
    this.#toldRead = this.#told;
    const unreadMs = await this.#unreadForMs(head);
    for (const { name } of this.#standings) this.#atHeadMs.set(name, this.#atHeadMs.get(name) ?? clock.monotonicMs() - unreadMs);
  }

  /** How long ago the next event to be folded was recorded; 0 when there is none. A process that has just begun is not current for that. */
  async #unreadForMs(head: Position): Promise<number> {
    const { store, clock } = this.#parts;
    if (comparePositions(this.#from(), head) >= 0) return 0;
    for await (const { events: [next], caughtUp } of store.subscribe(this.#from(), followed, this.#stopping.signal)) {
      if (next !== undefined) return Math.max(0, clock.now() - (Date.parse(next.metadata['recordedat'] ?? '') || 0));
      if (caughtUp) break;
    }
    return 0;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#endRest();
    await this.#running;
    await this.#alone;
    // What it can't write any more stands in the log.
    if (!this.#thread.dead) await this.#thread.ask('close', {}).catch((error: unknown) => this.#failing(reasonOf(error)));
    await this.#thread.end();
  }

  get standings(): readonly Standing[] {
    return this.#standings;
  }

  /** Everything up to here is folded by every projection that runs. */
  get position(): Position {
    return highest(this.#standings);
  }

  /** Does something while nothing is folded and the live file is not exchanged: it holds exactly what is up to the position. To be short. */
  standingStill<T>(use: (position: Position) => Promise<T>): Promise<T> {
    return this.#useAlone(async () => {
      await this.#thread.ask('write', null);
      return use(this.position);
    });
  }

  statusOf(standing: Standing, rebuilding: boolean): ProjectionStatus {
    const { name, position, poison } = standing;
    const state = rebuilding || standing.outdated ? 'REBUILDING' : poison !== null ? 'STOPPED' : 'RUNNING';
    return { name, state, position, behindMs: this.behindMs(standing), poison };
  }

  behindMs(standing: Standing): number {
    return this.#caughtUp && runs(standing) ? 0 : this.#parts.clock.monotonicMs() - (this.#atHeadMs.get(standing.name) ?? 0);
  }

  onCommitted(listener: (committed: Committed) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  onRead(listener: (read: Committed) => void): () => void {
    this.#readers.add(listener);
    return () => void this.#readers.delete(listener);
  }

  hasReached(position: Position, names: readonly string[]): boolean {
    return this.#standings.every((standing) => !names.includes(standing.name) || comparePositions(standing.position, position) >= 0);
  }

  /** Whether one of the named projections stands still before the position, so that waiting for it is vain. */
  neverReaches(position: Position, names: readonly string[]): boolean {
    return this.#standings.some((standing) => names.includes(standing.name) && standing.poison !== null && comparePositions(standing.position, position) < 0);
  }

  /** Resolves when the named projections have folded the log up to the position; rejects with the signal's reason. */
  async reached(position: Position, names: readonly string[], signal: AbortSignal): Promise<void> {
    if (this.hasReached(position, names)) return;
    signal.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      const waiter = { position, names, reached: () => settle(resolve) };
      const onAbort = (): void => settle(() => reject(signal.reason instanceof Error ? signal.reason : new Error('aborted')));
      const settle = (then: () => void): void => {
        this.#waiters.delete(waiter);
        signal.removeEventListener('abort', onAbort);
        then();
      };
      this.#waiters.add(waiter);
      this.#endRest();
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Asks the live file. Throws `ReadModelsUnavailable`. */
  async ask<Name extends keyof Queries>(name: Name, args?: Parameters<Queries[Name]>[1]): Promise<ReturnType<Queries[Name]>> {
    await this.#exchange;
    // Who has been told of an event must not be answered as if it had not been.
    if (this.#standings.some(runs) && comparePositions(this.position, this.#shown) < 0) throw new ReadModelsUnavailable('the read models are folding again what their thread had not written when it died');
    return (await this.#thread.ask('query', { name, args })) as ReturnType<Queries[Name]>;
  }

  async digest(): ReturnType<typeof ModelThread.prototype.ask<'digest'>> {
    await this.#exchange;
    return this.#thread.ask('digest', null);
  }

  /**
   * Puts another file in the place of the live one, together with the thread that holds it. `finish` folds it up to
   * exactly the position where the live one stands; nothing is folded meanwhile, so nobody sees a step back or a gap.
   */
  async takeOver(besidePath: string, beside: ModelThread, finish: (position: Position) => Promise<void>): Promise<void> {
    await this.#useAlone(async () => {
      await finish(highest(this.#standings));
      const exchanging = this.#exchangeFor(besidePath, beside);
      this.#exchange = exchanging.catch(() => undefined);
      try {
        await exchanging;
      } finally {
        this.#exchange = undefined;
      }
    });
    this.#wake();
  }

  async #exchangeFor(besidePath: string, beside: ModelThread): Promise<void> {
    const { path, historyDays } = this.#parts;
    const old = this.#thread;
    await old.ask('close', {});
    this.#thread = beside;
    await old.end();
    await beside.ask('close', { takeOver: { path: besidePath, livePath: path } });
    this.#standings = (await beside.ask('open', { path, historyDays })).standings;
  }

  async #run(): Promise<void> {
    const { clock } = this.#parts;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        if (this.#thread.dead) await this.#reopen();
        await this.#follow(this.#from(), signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#caughtUp = false;
        this.#failing(reasonOf(error));
        await sleep(clock, retryMs, signal).catch(() => undefined);
      }
    }
  }

  /** One alarm for as long as it fails in the same way. */
  #failing(detail: string): void {
    if (detail !== this.#failure) this.#alarm('read-models-failing', null, detail);
    this.#failure = detail;
  }

  /** Where reading goes on: before the first event that somebody has not seen, projection or listener. */
  #from(): Position {
    const low = lowest(this.#standings) ?? this.#told;
    return comparePositions(low, this.#told) < 0 ? low : this.#told;
  }

  /** Until it is open, the dead thread refuses whoever asks. */
  async #reopen(): Promise<void> {
    const thread = new ModelThread();
    const { path, historyDays } = this.#parts;
    try {
      const { standings } = await thread.ask('open', { path, historyDays });
      this.#standings = standings;
      this.#thread = thread;
    } catch (error) {
      await thread.end();
      throw error;
    }
  }

  /** Until the signal aborts, or what is read is not what is needed (it stood further back, or all are ahead of it): then it is to be called again. */
  async #follow(after: Position, signal: AbortSignal): Promise<void> {
    const thread = this.#thread;
    const left = new AbortController();
    void thread.ended.then(() => left.abort());
    let read = after;
    try {
      const source = this.#parts.store.subscribe(after, followed, AbortSignal.any([signal, left.signal]));
      for await (const batch of readAhead(this.#telling(source))) {
        const from = this.#from();
        if (signal.aborted || comparePositions(from, read) < 0 || comparePositions(batch.position, from) < 0) return;
        read = batch.position;
        await this.#commit(batch);
        await this.#rest(batch, signal);
      }
    } finally {
      left.abort();
    }
    if (thread === this.#thread && thread.dead && !signal.aborted) throw await thread.ended;
  }

  async *#telling(source: AsyncIterable<EventBatch>): AsyncGenerator<EventBatch> {
    for await (const batch of source) {
      this.#toldRead = this.#tellThose(this.#readers, batch, this.#toldRead);
      if (!batch.events.every(mayWait)) {
        this.#urgentTo = batch.position;
        this.#endRest();
      }
      yield batch;
    }
  }

  /** What comes in thousands is folded together: one transaction for each costs several times as much. */
  async #rest({ caughtUp, position }: EventBatch, signal: AbortSignal): Promise<void> {
    const { clock, restMs } = this.#parts;
    const isHurried = !caughtUp || comparePositions(this.#urgentTo, position) > 0 || this.#waiters.size > 0 || signal.aborted;
    if (restMs === 0 || isHurried) return;
    await new Promise<void>((resolve) => {
      const cancel = clock.after(restMs, resolve);
      this.#endRest = () => {
        cancel();
        resolve();
      };
    });
  }

  async #commit(batch: EventBatch): Promise<void> {
    this.#caughtUp = false;
    const before = this.#standings;
    await this.#useAlone(() => (batch.events.length === 0 ? this.#pass(batch) : this.#fold(batch)));
    // At the head everything is shown; an engine may have called it by a later position before.
    this.#shown = batch.caughtUp ? this.position : laterPosition(this.#shown, this.position);
    for (const { name, poison } of this.#standings) {
      if (poison !== null && before.find((standing) => standing.name === name)?.poison === null) this.#alarm('projection-stopped', name, `stopped at ${poison.position}, event ${poison.eventId}: ${poison.error}`);
    }
    this.#failure = null;
    this.#standAtHead(batch.caughtUp);
    this.#told = this.#tellThose(this.#listeners, batch, this.#told);
    this.#wake();
  }

  async #fold({ events, position, caughtUp }: EventBatch): Promise<void> {
    // It may fold what it still can't write. Whoever sees what was written must not see it before the listeners are told: nothing is awaited in between.
    const write = caughtUp ? 'soon' : 'later';
    this.#standings = await this.#thread.fold(events, position, this.#failure === null ? write : 'now');
    this.#leavesUnwritten = !caughtUp;
  }

  /** Where nothing concerns the read models, there is nothing to write: after a restart it is passed over again. */
  async #pass({ position, caughtUp }: EventBatch): Promise<void> {
    this.#standings = this.#standings.map((standing) => (runs(standing) ? { ...standing, position: laterPosition(standing.position, position) } : standing));
    const isLeft = caughtUp && this.#leavesUnwritten;
    if (isLeft) this.#leavesUnwritten = false;
    // Nothing may come any more with which it would be written.
    if (isLeft || this.#failure !== null) await this.#thread.ask('write', null);
  }

  #standAtHead(caughtUp: boolean): void {
    this.#caughtUp = caughtUp;
    if (!caughtUp) return;
    for (const standing of this.#standings) if (runs(standing)) this.#atHeadMs.set(standing.name, this.#parts.clock.monotonicMs());
  }

  /** A projection that is behind the others may need events again; listeners get each once. Answers up to where they are told now. */
  #tellThose(listeners: ReadonlySet<(batch: Committed) => void>, { position, events }: EventBatch, told: Position): Position {
    if (comparePositions(position, told) <= 0) return told;
    const news = { position, events: events.filter((event) => comparePositions(event.position, told) > 0) };
    for (const listener of listeners) {
      try {
        listener(news);
      } catch (error) {
        this.#alarm('listener-failed', null, error instanceof Error ? error.message : 'it threw no error');
      }
    }
    return position;
  }

  #wake(): void {
    for (const waiter of [...this.#waiters]) if (this.hasReached(waiter.position, waiter.names)) waiter.reached();
  }

  #useAlone<T>(use: () => Promise<T>): Promise<T> {
    const turn = this.#alone.then(use, use);
    this.#alone = turn.catch(() => undefined);
    return turn;
  }

  #alarm(alarm: ReadModelAlarm['alarm'], projection: string | null, detail: string): void {
    this.#parts.onAlarm({ alarm, projection, detail });
  }
}
