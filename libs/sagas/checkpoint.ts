import { type EventStore, type ExpectedRevision, lastEvent, WrongExpectedRevision } from '#event-store';
import { type Clock, formatInstant, type Ids, type Position, type RecordedEvent, startOfLog } from '#kernel';
import type { Endurance } from './endure.ts';
import type { Entry } from './entries.ts';

/** Somebody else has written the checkpoint since this process read it. */
export class SecondOwner extends Error {
  override readonly name = 'SecondOwner';
}

const checkpointed = 'SagaCheckpointed';

/**
 * One part of a checkpoint: what has changed since the one before, or everything (a snapshot), in parts small enough to
 * append. It counts when its last part is there. `since`: the revision from which on the stream gives the whole state.
 */
interface CheckpointPart {
  readonly position: Position;
  readonly since: number;
  readonly part: number;
  readonly last: boolean;
  readonly entries: Readonly<Record<string, Entry | null>>;
}

const partChars = 250_000;
/** After so many checkpoints a snapshot is written, so that a start reads this many events at most, whatever the age of the stream. */
const snapshotEvery = 1_000;
const readAhead = 200;

export interface CheckpointParts {
  readonly store: EventStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly name: string;
  readonly endurance: Endurance;
}

/** The checkpoint of one follower: where it is and what it remembers, in a stream of its own. */
export class Checkpoint {
  readonly #parts: CheckpointParts;
  readonly #stream: string;
  #expected: ExpectedRevision = 'NO_STREAM';
  #since = 0;
  #sinceSnapshot = 0;

  constructor(parts: CheckpointParts) {
    this.#parts = parts;
    this.#stream = `sagacheckpoint-${parts.name}`;
  }

  /** Reads the state as of the last complete checkpoint. From here on this process believes to be the owner. */
  async load(): Promise<{ readonly position: Position; readonly entries: ReadonlyMap<string, Entry> }> {
    const last = await lastEvent((from, limit) => this.#read(from, limit));
    if (last === undefined) return { position: startOfLog, entries: new Map() };
    this.#since = partOf(last).since;
    let position = startOfLog;
    const entries = new Map<string, Entry>();
    let parts: CheckpointPart[] = [];
    for await (const event of this.#from(this.#since, last.revision)) {
      const read = partOf(event);
      parts = read.part === 0 ? [read] : [...parts, read];
      if (!read.last) continue;
      position = read.position;
      for (const one of parts) apply(one, entries);
      this.#sinceSnapshot += 1;
    }
    this.#expected = last.revision;
    return { position, entries };
  }

  /**
   * Writes where the follower is and what has changed since the last time. Durable when it resolves. Throws `SecondOwner`
   * when the stream has moved on without us; nothing of ours counts then.
   */
  async save(position: Position, changed: Iterable<readonly [string, Entry | null]>, all: () => Iterable<readonly [string, Entry]>): Promise<void> {
    const snapshot = this.#sinceSnapshot >= snapshotEvery;
    const parts = split(snapshot ? all() : changed);
    const start = this.#expected === 'NO_STREAM' ? 0 : this.#expected + 1;
    for (const [part, entries] of parts.entries()) {
      const last = part === parts.length - 1;
      await this.#append({ position, since: snapshot && last ? start : this.#since, part, last, entries });
    }
    if (snapshot) this.#since = start;
    this.#sinceSnapshot = snapshot ? 1 : this.#sinceSnapshot + 1;
  }

  async #append(part: CheckpointPart): Promise<void> {
    const { store, clock, ids, name, endurance } = this.#parts;
    const expected = this.#expected;
    const metadata = { recordedat: formatInstant(clock.now()), schemaversion: '1' };
    // A random id: another owner's checkpoint at the same place must be a conflict, the repeat of this one must not.
    const event = { id: ids.uuid(), type: checkpointed, data: JSON.stringify(part), metadata };
    try {
      this.#expected = (await endurance.durably(() => store.append(this.#stream, expected, [event]))).revision;
    } catch (error) {
      if (error instanceof WrongExpectedRevision) throw new SecondOwner(`another process has written the checkpoint of ${name}`, { cause: error });
      throw error;
    }
  }

  async *#from(first: number, last: number): AsyncGenerator<RecordedEvent> {
    for (let revision = first; revision <= last; ) {
      const events = await this.#read(revision, readAhead);
      if (events.length === 0) throw new TypeError(`${this.#stream} has no event at ${revision}`);
      yield* events.filter((event) => event.revision <= last);
      revision += events.length;
    }
  }

  #read(from: number, limit: number): Promise<readonly RecordedEvent[]> {
    const { store, endurance } = this.#parts;
    return endurance.durably(() => store.readStream(this.#stream, from, limit));
  }
}

const partOf = (event: RecordedEvent): CheckpointPart => JSON.parse(event.data) as CheckpointPart;

function apply({ entries }: CheckpointPart, to: Map<string, Entry>): void {
  for (const [instance, entry] of Object.entries(entries)) {
    if (entry === null) to.delete(instance);
    else to.set(instance, entry);
  }
}

/** The entries in parts that fit an append; at least one part, though it be empty. */
function split(entries: Iterable<readonly [string, Entry | null]>): readonly Readonly<Record<string, Entry | null>>[] {
  let part: Record<string, Entry | null> = {};
  const parts = [part];
  let chars = 0;
  for (const [instance, entry] of entries) {
    const size = instance.length + JSON.stringify(entry).length;
    if (chars > 0 && chars + size > partChars) {
      parts.push((part = {}));
      chars = 0;
    }
    part[instance] = entry;
    chars += size;
  }
  return parts;
}
