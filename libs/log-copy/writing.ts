import { appendBytes, type CopyableEventStore, type ExpectedRevision, maxAppendBytes, StoreUnavailable, StreamTombstoned, WrongExpectedRevision } from '#event-store';
import type { NewEvent, RecordedEvent } from '#kernel';
import { positionIn, withPosition } from './position-fields.ts';
import type { Positions } from './positions.ts';
import { formOf, type LogReader, masterKeyPrefix } from './reading.ts';

/** The target holds something that is not of this copy, so nothing (more) is written into it. The message says what. */
export class ForeignTarget extends Error {
  override readonly name = 'ForeignTarget';
}

const mostEvents = 500;
/** So many events may be written whose new positions are not known yet. */
const mostUnread = 1_000;

export interface WritingParts {
  readonly target: CopyableEventStore;
  /** What stands in the target, in its order. */
  readonly there: LogReader;
  readonly positions: { readonly source: Positions; readonly target: Positions };
  /** Does it again while the target is unavailable. */
  readonly patiently: <T>(work: () => Promise<T>) => Promise<T>;
}

/**
 * Writes events into the target in the order in which they come: one append at a time, each begun when the one before is
 * acknowledged, because only so their order is the server's for certain. Events of one stream that follow each other share an
 * append. Which ones do depends on the log alone, so a copy that goes on repeats the very append that a killed one may have sent.
 *
 * What is there already is held against what would be written, and left. A position in an event is the one in the target of the
 * same event, or of the last one before it that is copied.
 */
export class Writing {
  readonly #parts: WritingParts;
  #resuming = true;
  #run: NewEvent[] = [];
  #runStream = '';
  #runExpected: ExpectedRevision = 'NO_STREAM';
  #runBytes = 0;
  /** Written, and not yet met in the target. */
  #unread: RecordedEvent[] = [];
  #runSources: RecordedEvent[] = [];
  alreadyThere = 0;
  written = 0;

  constructor(parts: WritingParts) {
    this.#parts = parts;
  }

  /** Takes the next event of the log. Rejects with `ForeignTarget`, or with the target's errors when it stays away. */
  async take(event: RecordedEvent): Promise<void> {
    this.#place('source', event);
    if (!(this.#resuming && (await this.#isThere(event)))) await this.#add(event);
  }

  /** Resolves when everything taken is in the target, and met there. */
  async end(): Promise<void> {
    await this.#flush();
    await this.#readBack();
  }

  async #isThere(event: RecordedEvent): Promise<boolean> {
    const { there, positions } = this.#parts;
    const found = await there.next();
    if (found === undefined) {
      this.#resuming = false;
      return false;
    }
    this.#place('target', found);
    if (formOf(event, positions.source) !== formOf(found, positions.target)) {
      throw new ForeignTarget(`the target is not empty, and not a part of this copy: it holds ${nameOf(found)} where the log has ${nameOf(event)}. Give an empty EventStoreDB`);
    }
    this.alreadyThere += 1;
    return true;
  }

  async #add(event: RecordedEvent): Promise<void> {
    const data = await this.#dataOf(event);
    const { id, type, metadata } = event;
    const copied = { id, type, data, metadata };
    const bytes = appendBytes([copied]);
    const joins = this.#runStream === event.stream && this.#run.length < mostEvents && this.#runBytes + bytes <= maxAppendBytes;
    if (!joins) {
      await this.#flush();
      this.#runStream = event.stream;
      this.#runExpected = event.revision === 0 ? 'NO_STREAM' : event.revision - 1;
    }
    this.#run.push(copied);
    this.#runSources.push(event);
    this.#runBytes += bytes;
  }

  async #dataOf(event: RecordedEvent): Promise<string> {
    const position = positionIn(event);
    if (position === undefined) return event.data;
    const { source, target } = this.#parts.positions;
    const n = source.upTo(position);
    if (n > target.count) await this.end();
    return withPosition(event, () => target.at(n));
  }

  async #flush(): Promise<void> {
    if (this.#run.length === 0) return;
    const { target, patiently } = this.#parts;
    const [stream, expected, events] = [this.#runStream, this.#runExpected, this.#run];
    try {
      await patiently(() => target.append(stream, expected, events));
    } catch (error) {
      if (!(error instanceof WrongExpectedRevision || error instanceof StreamTombstoned)) throw error;
      throw new ForeignTarget(`somebody else writes into the target: ${error.message}. Give an empty EventStoreDB, and start no server on it before the copy is complete`);
    }
    this.#unread.push(...this.#runSources);
    this.written += events.length;
    this.#run = [];
    this.#runSources = [];
    this.#runStream = '';
    this.#runBytes = 0;
    if (this.#unread.length >= mostUnread) await this.#readBack();
  }

  /** Appends tell no positions of single events, and may be repeats: what stands in the target says where. */
  async #readBack(): Promise<void> {
    const { there, patiently } = this.#parts;
    for (const event of this.#unread) {
      const found = await patiently(() => mustCome(there, event));
      if (found.id !== event.id || found.stream !== event.stream || found.revision !== event.revision) {
        throw new ForeignTarget(`somebody else writes into the target: it holds ${nameOf(found)}, where ${nameOf(event)} was written. Give an empty EventStoreDB, and start no server on it before the copy is complete`);
      }
      this.#place('target', found);
    }
    this.#unread = [];
  }

  /** The master key stands elsewhere in the source than in the copy; nothing names its position. */
  #place(side: 'source' | 'target', { stream, position }: RecordedEvent): void {
    if (!stream.startsWith(masterKeyPrefix)) this.#parts.positions[side].push(position);
  }
}

async function mustCome(there: LogReader, event: RecordedEvent): Promise<RecordedEvent> {
  const found = await there.next();
  if (found === undefined) throw new StoreUnavailable(`the target does not show ${nameOf(event)}, which it acknowledged`);
  return found;
}

const nameOf = ({ stream, revision, type }: RecordedEvent): string => `${type}, revision ${revision} of ${stream}`;
