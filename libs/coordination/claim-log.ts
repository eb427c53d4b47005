import { type EventStore, type ExpectedRevision, lastEvent, StreamTombstoned, WrongExpectedRevision } from '#event-store';
import { type Clock, formatInstant, type Ids } from '#kernel';
import { type ClaimEvent, claimEvent, type ClaimSeen, claimStream, heartbeatStream, readClaim } from './events.ts';

export interface ClaimLogParts {
  readonly store: Pick<EventStore, 'append' | 'readStream' | 'tombstone'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly role: string;
  readonly process: string;
  /** Does it again until the store says what came of it. */
  readonly durably: <T>(work: () => Promise<T>) => Promise<T>;
}

/** What can be seen of a role: its last claim or release, and how many heartbeats followed. */
export interface Sight {
  readonly last: ClaimSeen | undefined;
  readonly heartbeats: number;
}

/** The streams of one role. A conflict is an answer; every repeat after a lost answer is of the identical append. */
export class ClaimLog {
  readonly #parts: ClaimLogParts;

  constructor(parts: ClaimLogParts) {
    this.#parts = parts;
  }

  async look(): Promise<Sight> {
    const { role } = this.#parts;
    const last = await lastEvent((from, limit) => this.#read(claimStream(role), from, limit));
    return this.#withHeartbeats({ last: last && readClaim(last), heartbeats: 0 });
  }

  /** The same `Sight` content when nothing has moved. */
  async lookAgain(before: Sight): Promise<Sight> {
    const { role } = this.#parts;
    const from = before.last === undefined ? 0 : before.last.revision + 1;
    const last = (await this.#read(claimStream(role), from, 1_000)).at(-1);
    return this.#withHeartbeats(last === undefined ? before : { last: readClaim(last), heartbeats: 0 });
  }

  async #withHeartbeats({ last, heartbeats }: Sight): Promise<Sight> {
    if (last === undefined || last.released) return { last, heartbeats };
    const more = await this.#read(heartbeatStream(this.#parts.role, last.claimRevision), heartbeats, 1_000);
    return { last, heartbeats: heartbeats + more.length };
  }

  /**
   * Claims the role after what was seen. The heartbeats are ended first, at exactly the number that was seen: one that was
   * written meanwhile refuses the claim, and whoever wants to write another finds out. Answers the revision of the claim;
   * undefined when something has moved.
   */
  async claim({ last, heartbeats }: Sight): Promise<number | undefined> {
    const { role, store, durably } = this.#parts;
    if (last === undefined) return (await this.#append(claimStream(role), 0, 'ProcessClaimed')) ? 0 : undefined;
    const before = heartbeatStream(role, last.claimRevision);
    if (!last.released && !(await this.#append(before, heartbeats, 'ProcessHeartbeatsEnded'))) return undefined;
    const revision = last.revision + 1;
    if (!(await this.#append(claimStream(role), revision, 'ProcessClaimed'))) return undefined;
    await durably(() => store.tombstone(before));
    return revision;
  }

  /** False when the role was claimed by another. */
  heartbeat(claimRevision: number, count: number): Promise<boolean> {
    return this.#append(heartbeatStream(this.#parts.role, claimRevision), count, 'ProcessHeartbeat');
  }

  /** False when it was claimed by another meanwhile. */
  release(claimRevision: number): Promise<boolean> {
    return this.#append(claimStream(this.#parts.role), claimRevision + 1, 'ProcessReleased');
  }

  /** Whether the event stands at the revision. */
  async #append(stream: string, revision: number, type: ClaimEvent['type']): Promise<boolean> {
    const { store, clock, ids, process, durably } = this.#parts;
    const expected: ExpectedRevision = revision === 0 ? 'NO_STREAM' : revision - 1;
    // A random id: what another process writes at the same place must be a conflict, the repeat of this must not.
    const event = claimEvent(ids.uuid(), type, process, formatInstant(clock.now()));
    try {
      await durably(() => store.append(stream, expected, [event]));
      return true;
    } catch (error) {
      if (error instanceof WrongExpectedRevision || error instanceof StreamTombstoned) return false;
      throw error;
    }
  }

  #read(stream: string, from: number, limit: number): ReturnType<EventStore['readStream']> {
    const { store, durably } = this.#parts;
    return durably(() => store.readStream(stream, from, limit));
  }
}
