import { resolve as resolvePath } from 'node:path';
import type { Metadata, NewEvent, Position, RecordedEvent } from '#kernel';
import { admitAppend, admitLimit, admitPosition, admitRevision, admitStream } from '../admission.ts';
import { exitProcess } from '../exit-process.ts';
import { prefixesOf } from '../filter.ts';
import { follow, Growth } from '../follow.ts';
import { KnownEnds } from '../known-ends.ts';
import {
  type Append,
  type AppendResult,
  type CopyableEventStore,
  type EventBatch,
  type ExpectedRevision,
  OutcomeUnknown,
  type SingleAppend,
  StoreUnavailable,
  type StreamFilter,
  StreamTombstoned,
  WrongExpectedRevision,
} from '../port.ts';
import { Tail } from '../tail.ts';
import { prepareDataDir } from './data-dir.ts';
import { type Answer, type Appended, type AppendRequest, columnsPerEnd, columnsPerEvent, type Commit, ended, type FlatEvents, type Read, type Refused } from './protocol.ts';
import { startStorageThread, StorageLink } from './storage-link.ts';

/** One transaction on disk: how many appends it made durable together, their events, and how long it took. */
export type CommitMeasure = Commit;

export interface SqliteEventStoreOptions {
  /** The folder of the log (`events.db`); made with mode 0700 when missing. One process at a time holds it. */
  readonly dataDir: string;
  /** How many of the newest events stay in memory, for those who follow the log at its head; default 8,192 (and 8 MiB at most). */
  readonly recentEvents?: number;
  readonly onCommit?: (commit: CommitMeasure) => void;
  /**
   * Called once when it is not known whether the last commit is on disk (a failed fsync) or the storage thread died.
   * Only a restart can tell, so the process must end; by default it says why on stderr and exits with 1.
   */
  readonly onFatal?: (error: Error) => void;
}

export interface LogCopy {
  /** The head of the log in the copy: every append that was acknowledged with it or one before is in there. */
  readonly position: Position;
  readonly bytes: number;
}

/** The log is one file here, which can be copied while it is written. */
export interface SqliteEventStore extends CopyableEventStore {
  /**
   * Copies the whole log into a new file (mode 0600), synced, as of the moment when it resolves. Appends go on meanwhile, and wait
   * for no more than one short step. Tells now and then how far it is. When it rejects, nothing of the copy is left:
   * `StoreUnavailable` when there is no room, the file exists, the signal has aborted, or another copy is being made.
   */
  copyTo(file: string, signal: AbortSignal, onProgress: (bytes: number, totalBytes: number) => void): Promise<LogCopy>;
}

/**
 * Opens the embedded event store: SQLite in a thread of its own, every acknowledged append synced to disk, appends that
 * arrive while a commit runs sharing the next one.
 * Throws `DataDirInUse` (another process, or another store of this one), `NewerLog`, `StoreUnavailable`.
 */
export async function openSqliteEventStore(options: SqliteEventStoreOptions): Promise<SqliteEventStore> {
  const dataDir = resolvePath(options.dataDir);
  const { worker, head } = await startStorageThread(prepareDataDir(dataDir), dataDir);
  const growth = new Growth();
  const tail = new Tail(String(head), options.recentEvents ?? 8192);
  const ends = new KnownEnds(options.recentEvents === 0 ? 0 : undefined);
  let announced = tail.head;
  const copying = new Set<OnProgress>();
  const link = new StorageLink(worker, {
    onCopying: ({ bytes, totalBytes }) => copying.forEach((onProgress) => onProgress(bytes, totalBytes)),
    onAnswers: (commit) => {
      if (tail.head !== announced) growth.announce(tail.takeNews());
      announced = tail.head;
      if (commit !== undefined) options.onCommit?.(commit);
    },
    onLost: (reason) => {
      growth.announce();
      (options.onFatal ?? exitProcess)(new StoreUnavailable(`the event log in ${dataDir} can't be written any more: ${reason}`));
    },
  });
  return new LogOfThread(link, { tail, ends, growth }, copying);
}

type OnProgress = Parameters<SqliteEventStore['copyTo']>[2];

/** What the main thread knows of the log. */
interface Known {
  readonly tail: Tail;
  readonly ends: KnownEnds;
  readonly growth: Growth;
}

class LogOfThread implements SqliteEventStore {
  readonly #link: StorageLink;
  readonly #tail: Tail;
  readonly #ends: KnownEnds;
  readonly #growth: Growth;
  readonly #copying: Set<OnProgress>;
  readonly #closing = new AbortController();

  constructor(link: StorageLink, { tail, ends, growth }: Known, copying: Set<OnProgress>) {
    this.#link = link;
    this.#tail = tail;
    this.#ends = ends;
    this.#growth = growth;
    this.#copying = copying;
  }

  append(stream: string, expected: ExpectedRevision, events: readonly NewEvent[]): Promise<AppendResult> {
    // One promise and no more: two appends stand behind every delivery. What is not admitted rejects it.
    return new Promise((resolve, reject) => {
      const append = { stream, expected, events };
      this.#link.ask({ op: 'append', ...admitted(append) }, (answer) => {
        const result = this.#resultOf(append, answer);
        if (result instanceof Error) reject(result);
        else resolve(result);
      });
    });
  }

  appendEach(appends: readonly SingleAppend[]): Promise<readonly (AppendResult | Error)[]> {
    return new Promise((resolve) => {
      const results: (AppendResult | Error)[] = [];
      const flat: (string | number)[] = [];
      const asked: number[] = [];
      appends.forEach(({ stream, expected, event }, index) => {
        try {
          const [metadata = ''] = admitAppend(stream, expected, [event]);
          flat.push(stream, expected === 'NO_STREAM' ? -1 : expected, event.id, event.type, event.data, metadata);
          asked.push(index);
        } catch (error) {
          results[index] = error as Error;
        }
      });
      if (asked.length === 0) return resolve(results);
      this.#link.ask({ op: 'appendEach', appends: flat }, (answer) => {
        asked.forEach((index, place) => {
          const append = appends[index];
          if (append !== undefined) results[index] = this.#endOf(append, answer, place);
        });
        resolve(results);
      });
    });
  }

  appendInTurn(appends: readonly Append[]): Promise<readonly (AppendResult | Error)[]> {
    return new Promise((resolve) => {
      const { asked, refused } = admittedFirst(appends);
      if (asked.length === 0) return resolve(refused);
      this.#link.ask({ op: 'appendInTurn', appends: asked }, (answer) => {
        const ends = 'done' in answer && answer.done === 'appended-in-turn' ? answer.ends : [answer];
        const results = appends.slice(0, ends.length).map((append, place) => this.#resultOf(append, ends[place] ?? answer));
        resolve(results.length < asked.length || results.at(-1) instanceof Error ? results : [...results, ...refused]);
      });
    });
  }

  #resultOf({ stream, expected, events }: Append, end: Answer): AppendResult | Error {
    if (!('done' in end) || end.done !== 'appended') return errorOf(end, stream, expected);
    if (end.written) this.#keep(stream, events, end);
    return { revision: end.revision, position: String(end.position) };
  }

  #endOf({ stream, expected, event }: SingleAppend, answer: Answer, place: number): AppendResult | Error {
    if (!('done' in answer) || answer.done !== 'appended-each') return errorOf(answer, stream, expected);
    const [how, revision = -1, position = 0] = answer.ends.slice(columnsPerEnd * place, columnsPerEnd * (place + 1));
    if (how === ended.conflict) return refusalError({ refused: 'conflict', current: revision }, stream, expected);
    if (how === ended.tombstoned) return refusalError({ refused: 'tombstoned' }, stream, expected);
    if (how === ended.written) this.#keep(stream, [event], { revision, position });
    return { revision, position: String(position) };
  }

  /** Settling is in log order and happens at once, so the tail has no gaps. */
  #keep(stream: string, events: readonly NewEvent[], { revision, position }: Pick<Appended, 'revision' | 'position'>): void {
    const kept = events.map(({ id, type, data, metadata }, index) => {
      const back = events.length - 1 - index;
      return { id, type, data, metadata: { ...metadata }, stream, revision: revision - back, position: String(position - back) };
    });
    for (const event of kept) this.#tail.push(event);
    this.#ends.appended(stream, kept);
  }

  async readStream(stream: string, from = 0, limit = Number.MAX_SAFE_INTEGER): Promise<readonly RecordedEvent[]> {
    admitStream(stream);
    admitRevision(from);
    admitLimit(limit);
    const known = this.#closing.signal.aborted ? undefined : this.#ends.read(stream, from, limit);
    if (known !== undefined) return known;
    const { events } = await this.#read({ op: 'readStream', stream, from, limit }, (read) => {
      const count = read.events.length / columnsPerEvent;
      if (count < limit && (count > 0 || from === 0)) this.#ends.reached(stream, from + count - 1);
    });
    return recorded(events);
  }

  async readAll(after: Position, filter: StreamFilter | undefined, limit: number): Promise<EventBatch> {
    const from = admitPosition(after);
    admitLimit(limit);
    const prefixes = prefixesOf(filter);
    const recent = this.#closing.signal.aborted ? undefined : this.#tail.read(after, prefixes, limit);
    if (recent !== undefined) return recent;
    const { events, position, caughtUp } = await this.#read({ op: 'readAll', after: from, prefixes, limit });
    return { events: recorded(events), position: String(position), caughtUp };
  }

  /** `onRead` is called before anything else is settled. */
  #read(question: Parameters<StorageLink['ask']>[0], onRead: (read: Read) => void = () => undefined): Promise<Read> {
    return new Promise((resolve, reject) => {
      this.#link.ask(question, (answer) => {
        if (!('done' in answer) || answer.done !== 'read') {
          reject(errorOf(answer, 'the log', 'NO_STREAM'));
          return;
        }
        onRead(answer);
        resolve(answer);
      });
    });
  }

  subscribe(after: Position, filter: StreamFilter | undefined, signal: AbortSignal): AsyncIterable<EventBatch> {
    return follow(this, this.#growth, after, filter, AbortSignal.any([signal, this.#closing.signal]));
  }

  async tombstone(stream: string): Promise<void> {
    admitStream(stream);
    await new Promise<void>((resolve, reject) => {
      this.#link.ask({ op: 'tombstone', stream }, (answer) => {
        if (!('done' in answer) || answer.done !== 'tombstoned') {
          reject(errorOf(answer, stream, 'NO_STREAM'));
          return;
        }
        this.#tail.forget(stream, String(answer.head));
        this.#ends.forget(stream);
        resolve();
      });
    });
  }

  removals(): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      this.#link.ask({ op: 'removals' }, (answer) => {
        if ('done' in answer && answer.done === 'removals') resolve(answer.streams);
        else reject(errorOf(answer, 'the log', 'NO_STREAM'));
      });
    });
  }

  async copyTo(file: string, signal: AbortSignal, onProgress: OnProgress): Promise<LogCopy> {
    if (this.#copying.size > 0) throw new StoreUnavailable('another copy is being made');
    const stop = (): void => this.#link.stopCopy();
    this.#copying.add(onProgress);
    signal.addEventListener('abort', stop);
    try {
      return await new Promise<LogCopy>((resolve, reject) => {
        this.#link.ask({ op: 'copy', file }, (answer) => {
          if ('done' in answer && answer.done === 'copied') resolve({ position: String(answer.head), bytes: answer.bytes });
          else reject(errorOf(answer, 'the log', 'NO_STREAM'));
        });
        if (signal.aborted) stop();
      });
    } finally {
      signal.removeEventListener('abort', stop);
      this.#copying.delete(onProgress);
    }
  }

  head(): Promise<Position> {
    return this.#closing.signal.aborted ? Promise.reject(new StoreUnavailable('the event store is closed')) : Promise.resolve(this.#tail.head);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#link.close();
  }
}

/** An append as the thread is asked for it. Throws what it is not admitted for. */
function admitted({ stream, expected, events }: Append): Pick<AppendRequest, 'stream' | 'expected' | 'events'> {
  const metadata = admitAppend(stream, expected, events);
  const flat: string[] = [];
  events.forEach(({ id, type, data }, index) => flat.push(id, type, data, metadata[index] ?? ''));
  return { stream, expected: expected === 'NO_STREAM' ? -1 : expected, events: flat };
}

/** Those before the first one that is not admitted, and what that one is refused with. */
function admittedFirst(appends: readonly Append[]): { readonly asked: readonly ReturnType<typeof admitted>[]; readonly refused: readonly Error[] } {
  const asked: ReturnType<typeof admitted>[] = [];
  try {
    for (const append of appends) asked.push(admitted(append));
  } catch (error) {
    return { asked, refused: [error as Error] };
  }
  return { asked, refused: [] };
}

function errorOf(answer: Answer, stream: string, expected: ExpectedRevision): Error {
  return 'refused' in answer ? refusalError(answer, stream, expected) : new TypeError(`the storage thread answered ${answer.done} out of turn`);
}

function refusalError(answer: Refused, stream: string, expected: ExpectedRevision): Error {
  switch (answer.refused) {
    case 'conflict':
      return new WrongExpectedRevision(stream, expected, answer.current === -1 ? 'NO_STREAM' : answer.current);
    case 'tombstoned':
      return new StreamTombstoned(stream);
    case 'unavailable':
      return new StoreUnavailable(answer.reason);
    case 'unknown':
      return new OutcomeUnknown(answer.reason);
  }
}

function recorded(flat: FlatEvents): readonly RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (let start = 0; start < flat.length; start += columnsPerEvent) {
    const [position, revision, stream, id, type, data, metadata] = flat.slice(start, start + columnsPerEvent) as [number, number, string, string, string, string, string];
    events.push({ id, type, data, metadata: JSON.parse(metadata) as Metadata, stream, revision, position: String(position) });
  }
  return events;
}
