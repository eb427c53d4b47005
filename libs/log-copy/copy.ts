import { type CopyableEventStore, patiently, StoreUnavailable } from '#event-store';
import { type Clock, laterPosition, type Position, startOfLog } from '#kernel';
import { type CategoryCount, Comparison } from './comparison.ts';
import { Positions } from './positions.ts';
import { eventsOf, LogReader, masterKeyPrefix, type Part } from './reading.ts';
import { ForeignTarget, Writing } from './writing.ts';

/** The log has nothing that could be copied. The message says why. */
export class NothingToCopy extends Error {
  override readonly name = 'NothingToCopy';
}

/** How far it is: positions of the log that is copied. */
export interface CopyProgress {
  readonly step: 'copy' | 'verify';
  readonly position: Position;
  readonly head: Position;
}

export interface CopyParts {
  /** Nobody writes into it meanwhile. It is only read. */
  readonly source: CopyableEventStore;
  readonly target: CopyableEventStore;
  readonly clock: Clock;
  /** Called for every event. */
  readonly onProgress: (progress: CopyProgress) => void;
  /** The target does not answer, and is asked again. */
  readonly onTrouble: (error: Error) => void;
  /** After so long without an answer of the target the copy ends; default 60 s. */
  readonly patienceMs?: number;
}

/** What the copy came to. It is complete, and a server can start on it, when `equal` is true. */
export interface CopyReport {
  readonly events: number;
  /** Of these: what an earlier run of the copy had written. */
  readonly alreadyThere: number;
  /** Streams that were removed from the log, whose names the target refuses too. */
  readonly removedStreams: number;
  readonly categories: readonly CategoryCount[];
  /** SHA-256, lower-case hex, over every event's stream, revision, id, type, data and metadata in log order, with positions as ordinal numbers. */
  readonly digest: string;
  readonly targetDigest: string;
  readonly equal: boolean;
  /** The first event that differs, in words. */
  readonly difference: string | null;
}

/**
 * Copies a log into an empty one of another engine: the same streams, revisions, event ids, types, bytes and metadata in the same
 * order; positions in events are those of the target; removed streams are refused there too. Claims of roles are left out. Then it reads both
 * again and compares them; the registered master key comes last, so that no server starts on a copy that is not complete and verified.
 *
 * Killed at any moment and run again, it goes on: what is there is held against the log and left. Rejects with `NothingToCopy`,
 * with `ForeignTarget` (the target holds something else), with `StoreUnavailable` when the target stays away, with `TypeError` when
 * the log holds an event that can't be read.
 */
export async function copyLog(parts: CopyParts): Promise<CopyReport> {
  const { source, target } = parts;
  const enduring = enduringOf(parts);
  const removed = new Set(await source.removals());
  await mustHoldALog(source, removed);
  await refuseStreams(removed, target, enduring);
  const head = await source.head();
  const positions = { source: new Positions(), target: new Positions() };
  const readerOfTarget = (): LogReader => new LogReader((after, limit) => enduring(() => target.readAll(after, undefined, limit)));
  const writing = new Writing({ target, there: readerOfTarget(), positions, patiently: enduring });
  const [comparison, there] = [new Comparison(positions), readerOfTarget()];
  const eachOf = async (part: Part, step: CopyProgress['step'], work: (event: Parameters<Writing['take']>[0]) => Promise<void>): Promise<void> => {
    for await (const event of eventsOf(source, part, removed)) {
      await work(event);
      parts.onProgress({ step, position: event.position, head: laterPosition(head, event.position) });
    }
  };
  for (const part of ['events', 'master-key'] as const) {
    await eachOf(part, 'copy', (event) => writing.take(event));
    await writing.end();
    await eachOf(part, 'verify', async (event) => comparison.take(event, await there.next()));
    if (comparison.difference !== null) break;
  }
  await comparison.rest(there);
  const { categories, difference } = comparison;
  const { source: digest, target: targetDigest } = comparison.digests();
  const events = writing.alreadyThere + writing.written;
  return { events, alreadyThere: writing.alreadyThere, removedStreams: removed.size, categories, digest, targetDigest, equal: difference === null && digest === targetDigest, difference };
}

const defaultPatienceMs = 60_000;

function enduringOf({ clock, onTrouble, patienceMs = defaultPatienceMs }: CopyParts): <T>(work: () => Promise<T>) => Promise<T> {
  return async (work) => {
    const late = new AbortController();
    const cancel = clock.after(patienceMs, () => late.abort(new StoreUnavailable(`the target has not answered for ${patienceMs / 1_000} s. Run the copy again when it does: it goes on where it was`)));
    try {
      return await patiently(work, { clock, signal: late.signal, onTrouble });
    } finally {
      cancel();
    }
  };
}

async function mustHoldALog(source: CopyableEventStore, removed: ReadonlySet<string>): Promise<void> {
  for await (const key of eventsOf(source, 'master-key', removed)) if (key.revision === 0) return;
  const { events } = await source.readAll(startOfLog, undefined, 1);
  throw new NothingToCopy(events.length === 0 ? 'the log is empty: a server can start on the empty EventStoreDB by itself' : `the log has no stream ${masterKeyPrefix}…: it is not one of this program, or it is not whole`);
}

/** First of all: what an earlier run copied of a stream that was removed since is hidden in the target from here on. */
async function refuseStreams(removed: ReadonlySet<string>, target: CopyableEventStore, enduring: ReturnType<typeof enduringOf>): Promise<void> {
  const refused = new Set(await enduring(() => target.removals()));
  const foreign = [...refused].find((stream) => !removed.has(stream));
  if (foreign !== undefined) throw new ForeignTarget(`the target is not empty, and not a part of this copy: the stream ${foreign} was removed from it, and not from the log. Give an empty EventStoreDB`);
  for (const stream of removed) if (!refused.has(stream)) await enduring(() => target.tombstone(stream));
}
