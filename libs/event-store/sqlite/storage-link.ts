import { Worker } from 'node:worker_threads';
import { StoreUnavailable } from '../port.ts';
import { DataDirInUse, NewerLog } from './errors.ts';
import type { Answer, Answers, CloseRequest, Commit, Copying, Opening, OpeningRefused, Question, Report, Request, StopCopyRequest } from './protocol.ts';

type Unnumbered<Asked> = Asked extends Question ? Omit<Asked, 'seq'> : never;

const writes: ReadonlySet<Question['op']> = new Set(['append', 'appendEach', 'appendInTurn', 'tombstone']);

interface Asked {
  readonly op: Question['op'];
  readonly settle: (answer: Answer) => void;
}

export interface LinkEvents {
  /** After every message whose answers have all been settled. */
  onAnswers(commit: Commit | undefined): void;
  onCopying(copying: Copying): void;
  /** The thread is gone, or what it last wrote is in doubt; every open question has been settled. */
  onLost(reason: string): void;
}

/** The main thread's end of the storage thread: numbers questions, sends those of one turn together, settles in order. */
export class StorageLink {
  readonly #worker: Worker;
  readonly #events: LinkEvents;
  readonly #asked = new Map<number, Asked>();
  readonly #ended: Promise<void>;
  #outbox: Request[] = [];
  #seq = 0;
  /** Why nothing can be asked any more. */
  #over: string | undefined;
  #closing = false;

  constructor(worker: Worker, events: LinkEvents) {
    this.#worker = worker;
    this.#events = events;
    worker.on('message', (report: Report) => this.#receive(report));
    worker.on('error', (error) => this.#lose(String(error)));
    this.#ended = new Promise((resolve) => {
      worker.once('exit', () => {
        if (!this.#closing) this.#lose('the storage thread ended');
        resolve();
      });
    });
  }

  ask(question: Unnumbered<Question>, settle: (answer: Answer) => void): void {
    if (this.#over !== undefined) {
      settle({ refused: 'unavailable', reason: this.#over });
      return;
    }
    this.#seq += 1;
    this.#asked.set(this.#seq, { op: question.op, settle });
    this.#send({ ...question, seq: this.#seq });
  }

  /** The copy that is being made, if one is, is answered as unavailable soon. */
  stopCopy(): void {
    if (this.#over === undefined) this.#send({ op: 'stopCopy' } satisfies StopCopyRequest);
  }

  async close(): Promise<void> {
    if (this.#over === undefined) {
      this.#over = 'the event store is closed';
      this.#closing = true;
      this.#send({ op: 'close' } satisfies CloseRequest);
    }
    await this.#ended;
    this.#settleAll('the event store was closed');
  }

  #send(request: Request): void {
    this.#outbox.push(request);
    if (this.#outbox.length === 1) setImmediate(() => this.#flush());
  }

  #flush(): void {
    const requests = this.#outbox;
    this.#outbox = [];
    this.#worker.postMessage(requests);
  }

  #receive(report: Report): void {
    if (report.kind === 'fatal') this.#lose(report.reason);
    else if (report.kind === 'answers') this.#settle(report);
    else if (report.kind === 'copying') this.#events.onCopying(report);
  }

  #settle({ seqs, answers, commit }: Answers): void {
    seqs.forEach((seq, index) => {
      const answer = answers[index];
      const asked = this.#asked.get(seq);
      this.#asked.delete(seq);
      if (answer !== undefined) asked?.settle(answer);
    });
    this.#events.onAnswers(commit);
  }

  #lose(reason: string): void {
    if (this.#over !== undefined && !this.#closing) return;
    this.#over = reason;
    this.#closing = false;
    this.#settleAll(reason);
    this.#events.onLost(reason);
  }

  /** What was asked and not answered: a read has failed, a write may have happened. */
  #settleAll(reason: string): void {
    const open = [...this.#asked.values()];
    this.#asked.clear();
    for (const { op, settle } of open) settle({ refused: writes.has(op) ? 'unknown' : 'unavailable', reason });
  }
}

/** Nothing outlives the request it came with: a larger young generation would be filled without use. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 };

/** Starts the storage thread on a log's file. Throws `DataDirInUse`, `NewerLog` or `StoreUnavailable`. */
export async function startStorageThread(file: string, dataDir: string): Promise<{ worker: Worker; head: number }> {
  const fromSource = import.meta.url.endsWith('.ts');
  const worker = new Worker(new URL(fromSource ? './storage-thread.ts' : './storage-thread.js', import.meta.url), {
    workerData: { file },
    resourceLimits,
    ...(fromSource ? { execArgv: ['--conditions=source', '--disable-warning=ExperimentalWarning'] } : {}),
  });
  // Listened for from the start: a thread that ends hands over its last message and its exit in one go.
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const opening = await new Promise<Opening>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  if (opening.kind === 'opened') return { worker, head: opening.head };
  await ended;
  throw openingError(opening, dataDir);
}

function openingError(refused: OpeningRefused, dataDir: string): Error {
  if (refused.why === 'in-use') return new DataDirInUse(dataDir);
  if (refused.why === 'newer') return new NewerLog(dataDir, refused.version, refused.known);
  return new StoreUnavailable(`the event log in ${dataDir} can't be opened: ${refused.reason}`);
}
