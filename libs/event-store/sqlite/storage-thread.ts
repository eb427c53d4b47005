// The storage thread: everything that waits for a disk happens here. Runs from source by type stripping, too: erasable
// syntax only.
import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { CopyStopped } from './log-copy.ts';
import { type Answer, columnsPerAppend, columnsPerEnd, type Commit, type CopyRequest, ended, type OpeningRefused, type ReadRequest, type Report, type Request, type TombstoneRequest, type Writing } from './protocol.ts';
import { logVersion, openLog } from './schema.ts';
import { isSqliteError } from './sqlite-error.ts';
import { CommitInDoubt, NotWritten, SqliteLog } from './sqlite-log.ts';

/** Events that share one transaction, about: bounds how long the first append of a group waits for the last. */
const eventsPerCommit = 2048;
/** How often it is told how far a copy is. */
const copyingEveryMs = 200;

interface Removal {
  readonly stream: string;
  /** Who asked; nobody for one that a crash cut short. */
  readonly seq: number | undefined;
}

class StorageThread {
  readonly #port: MessagePort;
  readonly #log: SqliteLog;
  readonly #removals: Removal[];
  /** Removed, and still to be scrubbed: once for all of them, because it costs several syncs. */
  #removed: Removal[] = [];
  #copying: AbortController | undefined;

  constructor(port: MessagePort, log: SqliteLog) {
    this.#port = port;
    this.#log = log;
    this.#removals = log.unfinishedRemovals().map((stream) => ({ stream, seq: undefined }));
  }

  listen(): void {
    this.#port.on('message', (first: readonly Request[]) => {
      this.#guarded(() => this.#serve(this.#drain(first)));
    });
    this.#report({ kind: 'opened', head: this.#log.head });
    this.#removeLater();
  }

  /** Everything that has come in by now: the group that the next commit is for. */
  #drain(first: readonly Request[]): Request[] {
    const requests = [...first];
    for (let more = receiveMessageOnPort(this.#port); more !== undefined; more = receiveMessageOnPort(this.#port)) {
      requests.push(...(more.message as readonly Request[]));
    }
    return requests;
  }

  #serve(requests: readonly Request[]): void {
    // Reads first: none of them can be asking for an append that has not been answered yet.
    this.#answerReads(requests.filter((request) => request.op === 'readStream' || request.op === 'readAll'));
    const writings = requests.filter((request) => request.op === 'append' || request.op === 'appendEach' || request.op === 'appendInTurn');
    for (const group of groups(writings)) this.#commit(group);
    for (const request of requests) if (request.op === 'tombstone') this.#refuse(request);
    for (const request of requests) if (request.op === 'removals') this.#report({ kind: 'answers', seqs: [request.seq], answers: [{ done: 'removals', streams: this.#log.removals() }] });
    this.#serveCopy(requests);
    if (requests.some((request) => request.op === 'close')) this.#close();
  }

  #answerReads(reads: readonly ReadRequest[]): void {
    if (reads.length === 0) return;
    const answers = reads.map((request) => unlessUnavailable(() => (request.op === 'readStream' ? this.#log.readStream(request) : this.#log.readAll(request))));
    this.#report({ kind: 'answers', seqs: reads.map((request) => request.seq), answers });
  }

  #commit(writings: readonly Writing[]): void {
    const started = performance.now();
    const seqs = writings.map(({ seq }) => seq);
    let answers: readonly Answer[];
    try {
      answers = this.#log.commit(writings);
    } catch (error) {
      if (!(error instanceof NotWritten)) throw error;
      const answer = unavailable(error.message);
      this.#report({ kind: 'answers', seqs, answers: writings.map(() => answer) });
      return;
    }
    this.#report({ kind: 'answers', seqs, answers, commit: measure(writings, answers, performance.now() - started) });
  }

  #refuse({ stream, seq }: TombstoneRequest): void {
    const refused = unlessUnavailable(() => {
      this.#log.refuse(stream);
      return undefined;
    });
    if (refused !== undefined) {
      this.#report({ kind: 'answers', seqs: [seq], answers: [refused] });
      return;
    }
    this.#removals.push({ stream, seq });
    if (this.#removals.length === 1) this.#removeLater();
  }

  /** One step of one removal per turn of the loop, so that appends and reads get their turns in between. */
  #removeLater(): void {
    if (this.#removals.length > 0) setImmediate(() => this.#guarded(() => this.#removeSome()));
  }

  #removeSome(): void {
    const removal = this.#removals[0];
    if (removal === undefined) return;
    const failed = unlessUnavailable(() => {
      if (!this.#log.removeSome(removal.stream)) this.#removed.push(...this.#removals.splice(0, 1));
      return undefined;
    });
    if (failed !== undefined) this.#answerRemovals(this.#removals.splice(0, 1), failed);
    if (this.#removals.length === 0) this.#scrub();
    this.#removeLater();
  }

  #scrub(): void {
    const removed = this.#removed;
    this.#removed = [];
    const answer = unlessUnavailable((): Answer => {
      this.#log.scrub();
      return { done: 'tombstoned', head: this.#log.head };
    });
    this.#answerRemovals(removed, answer);
  }

  #answerRemovals(removals: readonly Removal[], answer: Answer): void {
    const seqs = removals.flatMap((removal) => (removal.seq === undefined ? [] : [removal.seq]));
    this.#report({ kind: 'answers', seqs, answers: seqs.map(() => answer) });
  }

  #serveCopy(requests: readonly Request[]): void {
    for (const request of requests) if (request.op === 'copy') void this.#copy(request);
    if (requests.some((request) => request.op === 'stopCopy')) this.#copying?.abort();
  }

  async #copy({ seq, file }: CopyRequest): Promise<void> {
    this.#report({ kind: 'answers', seqs: [seq], answers: [await this.#copyTo(file)] });
  }

  /** Steps of the copy take turns with everything else. */
  async #copyTo(file: string): Promise<Answer> {
    const copying = new AbortController();
    this.#copying = copying;
    let toldMs = 0;
    const onStep = (bytes: number, totalBytes: number): void => {
      if (performance.now() - toldMs < copyingEveryMs) return;
      toldMs = performance.now();
      this.#report({ kind: 'copying', bytes, totalBytes });
    };
    try {
      const bytes = await this.#log.copyTo(file, { signal: copying.signal, onStep });
      return { done: 'copied', head: this.#log.head, bytes };
    } catch (error) {
      if (error instanceof CopyStopped) return unavailable(error.message);
      if (isSqliteError(error) || isSystemError(error)) return unavailable(`${error.message} (${error.code})`);
      throw error;
    } finally {
      this.#copying = undefined;
    }
  }

  #close(): void {
    this.#copying?.abort();
    this.#removals.length = 0;
    this.#log.close();
    this.#port.close();
  }

  #guarded(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof CommitInDoubt)) throw error;
      this.#copying?.abort();
      this.#report({ kind: 'fatal', reason: error.message });
      this.#port.close();
    }
  }

  #report(report: Report): void {
    this.#port.postMessage(report);
  }
}

function* groups(writings: readonly Writing[]): Generator<readonly Writing[]> {
  let start = 0;
  let events = 0;
  for (const [index, writing] of writings.entries()) {
    events += eventsOf(writing);
    if (events < eventsPerCommit) continue;
    yield writings.slice(start, index + 1);
    start = index + 1;
    events = 0;
  }
  if (start < writings.length) yield writings.slice(start);
}

function eventsOf(writing: Writing): number {
  if (writing.op === 'append') return writing.events.length / 4;
  return writing.op === 'appendEach' ? writing.appends.length / columnsPerAppend : writing.appends.reduce((sum, { events }) => sum + events.length / 4, 0);
}

const unavailable = (reason: string): Answer => ({ refused: 'unavailable', reason });

const isSystemError = (error: unknown): error is NodeJS.ErrnoException => error instanceof Error && 'syscall' in error;

function unlessUnavailable<Result>(work: () => Result): Result | Answer {
  try {
    return work();
  } catch (error) {
    if (error instanceof NotWritten) return unavailable(error.message);
    if (isSqliteError(error)) return unavailable(`${error.message} (${error.code})`);
    throw error;
  }
}

function measure(writings: readonly Writing[], answers: readonly Answer[], durationMs: number): Commit | undefined {
  let events = 0;
  let appends = 0;
  answers.forEach((answer, index) => {
    const writing = writings[index];
    if (!('done' in answer) || writing === undefined) return;
    if (answer.done === 'appended-each') {
      const written = answer.ends.filter((end, at) => at % columnsPerEnd === 0 && end === ended.written).length;
      appends += written;
      events += written;
    } else if (answer.done === 'appended-in-turn' && writing.op === 'appendInTurn') {
      answer.ends.forEach((end, place) => {
        if (!('done' in end && end.written)) return;
        appends += 1;
        events += (writing.appends[place]?.events.length ?? 0) / 4;
      });
    } else if (answer.done === 'appended' && answer.written) {
      appends += 1;
      events += eventsOf(writing);
    }
  });
  return appends === 0 ? undefined : { events, appends, durationMs };
}

function open(file: string): SqliteLog | OpeningRefused {
  try {
    const opened = openLog(file);
    if ('refused' in opened) {
      return opened.refused === 'in-use' ? { kind: 'refused', why: 'in-use' } : { kind: 'refused', why: 'newer', version: opened.version, known: logVersion };
    }
    const log = new SqliteLog(opened.database);
    log.scrub();
    return log;
  } catch (error) {
    return { kind: 'refused', why: 'failed', reason: String(error) };
  }
}

if (parentPort !== null) {
  const log = open((workerData as { file: string }).file);
  if (log instanceof SqliteLog) new StorageThread(parentPort, log).listen();
  else {
    parentPort.postMessage(log);
    parentPort.close();
  }
}
