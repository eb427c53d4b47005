import { type EventBatch, StoreUnavailable } from '#event-store';
import { comparePositions, laterPosition, type Position, type RecordedEvent, startOfLog } from '#kernel';
import { Checkpoint, SecondOwner } from './checkpoint.ts';
import { Endurance, isTrouble, Stopping } from './endure.ts';
import type { Entries } from './entries.ts';
import type { AlarmName, FollowerParts, SagaStatus } from './port.ts';

/** Events of the log in order: all of the followed streams from after `after` up to the last of them. */
export interface Stretch {
  readonly events: readonly RecordedEvent[];
  readonly after: Position;
}

/** What a follower does with the log. Each method answers how many inputs changed anything; their outputs are durable then. */
export interface Work {
  readonly name: string;
  readonly prefixes: readonly string[];
  readonly entries: Entries;
  /** Once, before the first stretch: tries again what was parked. */
  begin(context: WorkContext): Promise<number>;
  react(stretch: Stretch, context: WorkContext): Promise<number>;
  /** When it wants to be called by the clock, milliseconds since 1970 UTC; `Infinity`: not at all. */
  nextDueMs(): number;
  fire(nowMs: number, context: WorkContext): Promise<number>;
}

export interface WorkContext {
  readonly endurance: Endurance;
  readonly signal: AbortSignal;
  alarm(alarm: AlarmName, instance: string | null, detail: string): void;
}

const saveAfterMs = 1_000;
const saveAfterChanges = 1_000;
/** A stretch without anything to remember is remembered when reading it again would take seconds. */
const saveAfterPositions = 1_000_000n;
/** The wall clock may be set, so a far deadline is looked at again and again. */
const longestWaitMs = 5_000;

/**
 * Follows the log for one piece of work: hands it the events, then the deadlines that have come, and writes its checkpoint
 * after the outputs are durable. One at a time; a second owner of the same checkpoint stops the one that notices.
 */
export class Follower {
  readonly #parts: FollowerParts;
  readonly #work: Work;
  readonly #stop = new AbortController();
  readonly #context: WorkContext;
  readonly #checkpoint: Checkpoint;
  #running: Promise<void> | undefined;
  #state: SagaStatus['state'] = 'STARTING';
  #why: string | null = null;
  #position = startOfLog;
  #caughtUp = false;
  #atHeadMs: number;
  #changes = 0;
  #savedMs: number;
  #savedPosition = startOfLog;
  /** The head of the log when a deadline came: it is acted on when everything up to here has been reacted to. */
  #barrier: Position | undefined;

  constructor(parts: FollowerParts, work: Work) {
    this.#parts = parts;
    this.#work = work;
    const alarm: WorkContext['alarm'] = (name, instance, detail) => parts.onAlarm({ saga: work.name, alarm: name, instance, detail });
    const { signal } = this.#stop;
    const endurance = new Endurance(parts.clock, signal, (error) => alarm('store-trouble', null, error.message));
    this.#context = { endurance, signal, alarm };
    this.#checkpoint = new Checkpoint({ ...parts, name: work.name, endurance });
    this.#atHeadMs = parts.clock.monotonicMs();
    this.#savedMs = this.#atHeadMs;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    this.#state = 'STOPPED';
  }

  status(): SagaStatus {
    const { entries, name } = this.#work;
    return {
      name,
      state: this.#state,
      position: this.#position,
      caughtUp: this.#caughtUp,
      behindMs: this.#caughtUp ? 0 : this.#parts.clock.monotonicMs() - this.#atHeadMs,
      open: entries.size,
      parked: entries.parked().map(([instance, { error, sinceMs, inputs, dropped }]) => ({ instance, error, sinceMs, waiting: inputs.length, dropped })),
      why: this.#why,
    };
  }

  async #run(): Promise<void> {
    try {
      await this.#load();
      this.#changes += await this.#context.endurance.durably(() => this.#atomically(() => this.#work.begin(this.#context)));
      this.#state = 'RUNNING';
      while (!this.#context.signal.aborted) await this.#context.endurance.durably(() => this.#follow());
    } catch (error) {
      if (!(error instanceof Stopping)) this.#halt(error);
    }
    if (this.#why === null) await this.#saveAtLast();
    this.#state = 'STOPPED';
  }

  async #load(): Promise<void> {
    const { position, entries } = await this.#checkpoint.load();
    this.#position = position;
    this.#savedPosition = position;
    this.#work.entries.restore(entries);
  }

  #halt(error: unknown): void {
    this.#why = error instanceof Error ? error.message : String(error);
    this.#context.alarm(error instanceof SecondOwner ? 'second-owner' : 'stopped', null, this.#why);
  }

  /** What is not written here is done again after the next start, which is harmless. */
  async #saveAtLast(): Promise<void> {
    try {
      if (this.#changes > 0 || this.#position !== this.#savedPosition) await this.#save();
    } catch (error) {
      if (error instanceof SecondOwner) this.#halt(error);
      else this.#context.alarm('store-trouble', null, `the last checkpoint of ${this.#work.name} was not written: ${String(error)}`);
    }
  }

  /** Returns when it is to stop; throws when the subscription ends or fails. */
  async #follow(): Promise<void> {
    const { signal } = this.#context;
    const done = new AbortController();
    const filter = { prefixes: this.#work.prefixes };
    const batches = this.#parts.store.subscribe(this.#position, filter, AbortSignal.any([signal, done.signal]));
    try {
      await this.#consume(batches[Symbol.asyncIterator]());
    } catch (error) {
      // However a subscription ends when it is told to end.
      if (!(signal.aborted && isTrouble(error))) throw error;
    } finally {
      done.abort();
    }
    if (!signal.aborted) throw new StoreUnavailable(`the subscription of ${this.#work.name} has ended`);
  }

  async #consume(batches: AsyncIterator<EventBatch, unknown>): Promise<void> {
    let arriving = batches.next();
    try {
      while (!this.#context.signal.aborted) {
        const arrived = await this.#either(arriving);
        if (arrived?.done === true) return;
        if (arrived !== undefined) {
          await this.#batch(arrived.value);
          arriving = batches.next();
        }
        await this.#chores();
      }
    } finally {
      // Whatever it still brings is read again from the checkpoint; that it fails later is nobody's news.
      void Promise.allSettled([arriving]);
    }
  }

  /** The next batch, or undefined when the time for chores has come first. */
  async #either(arriving: Promise<IteratorResult<EventBatch, unknown>>): Promise<IteratorResult<EventBatch, unknown> | undefined> {
    const waitMs = Math.min(this.#saveInMs(), this.#fireInMs());
    if (waitMs === Infinity) return await arriving;
    let cancel = (): void => undefined;
    const time = new Promise<undefined>((resolve) => {
      cancel = this.#parts.clock.after(Math.min(waitMs, longestWaitMs), () => resolve(undefined));
    });
    return await Promise.race([arriving, time]).finally(() => cancel());
  }

  async #batch({ events, position, caughtUp }: EventBatch): Promise<void> {
    const after = this.#position;
    const fresh = events.filter((event) => comparePositions(event.position, after) > 0);
    if (this.#caughtUp) this.#standsAtHead(fresh.length === 0);
    if (fresh.length > 0) this.#changes += await this.#atomically(() => this.#work.react({ events: fresh, after }, this.#context));
    this.#position = laterPosition(position, after);
    this.#standsAtHead(caughtUp);
  }

  /** It stood there until now, or does from now on; while it reacts it does not. */
  #standsAtHead(still: boolean): void {
    if (this.#caughtUp || still) this.#atHeadMs = this.#parts.clock.monotonicMs();
    this.#caughtUp = still;
  }

  async #chores(): Promise<void> {
    const nowMs = this.#parts.clock.now();
    if (this.#work.nextDueMs() <= nowMs && (await this.#hasSeenTheLog())) {
      this.#changes += await this.#atomically(() => this.#work.fire(nowMs, this.#context));
    }
    if (this.#saveInMs() === 0) await this.#save();
  }

  /** A deadline must not overtake what stood in the log when it came: an approval may have been used in time. */
  async #hasSeenTheLog(): Promise<boolean> {
    this.#barrier ??= await this.#parts.store.head();
    if (comparePositions(this.#position, this.#barrier) < 0) return false;
    this.#barrier = undefined;
    return true;
  }

  #atomically(work: () => Promise<number>): Promise<number> {
    return this.#work.entries.atomically(work);
  }

  #fireInMs(): number {
    // A deadline that waits for the log is looked at again when the log comes.
    const waits = this.#barrier !== undefined && comparePositions(this.#position, this.#barrier) < 0;
    return waits ? Infinity : Math.max(0, this.#work.nextDueMs() - this.#parts.clock.now());
  }

  #saveInMs(): number {
    const far = BigInt(this.#position) - BigInt(this.#savedPosition) >= saveAfterPositions;
    if (far || this.#changes >= saveAfterChanges) return 0;
    return this.#changes === 0 ? Infinity : Math.max(0, this.#savedMs + saveAfterMs - this.#parts.clock.monotonicMs());
  }

  async #save(): Promise<void> {
    const { entries } = this.#work;
    await this.#checkpoint.save(this.#position, entries.changed(), () => entries.all());
    entries.saved();
    this.#changes = 0;
    this.#savedPosition = this.#position;
    this.#savedMs = this.#parts.clock.monotonicMs();
  }
}
