import { type ResourceLimits, Worker } from 'node:worker_threads';
import type { Position, RecordedEvent } from '#kernel';
import { ReadModelsUnavailable } from './errors.ts';
import { flatten } from './flat-events.ts';
import type { Standing } from './model-file.ts';
import type { Answer, Operations, Question, When } from './worker.ts';

const fromSource = import.meta.url.endsWith('.ts');

/** Of one batch little outlives the next: a larger young generation would be filled without use. */
const heap: ResourceLimits = { maxYoungGenerationSizeMb: 24 };

/** A thread that holds one file of read models. */
export class ModelThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  /** Resolves with why when the thread is no more. */
  readonly ended: Promise<ReadModelsUnavailable>;
  #tellEnd: (why: ReadModelsUnavailable) => void = () => undefined;
  #seq = 0;
  #dead: ReadModelsUnavailable | undefined;

  /** One that needs more than its heap may have ends. */
  constructor(resourceLimits = heap) {
    this.#worker = new Worker(new URL(fromSource ? './worker.ts' : './worker.js', import.meta.url), {
      name: 'read-models',
      resourceLimits,
      execArgv: fromSource ? ['--conditions=source', '--disable-warning=ExperimentalWarning'] : [],
    });
    this.ended = new Promise((resolve) => (this.#tellEnd = resolve));
    this.#worker.on('message', (answer: Answer) => this.#settle(answer));
    this.#worker.on('error', (error) => this.#die(String(error)));
    this.#worker.on('exit', () => this.#die('it ended'));
  }

  get dead(): boolean {
    return this.#dead !== undefined;
  }

  /** Rejects with `ReadModelsUnavailable` when the thread has died or the operation failed. */
  ask<Name extends keyof Operations>(operation: Name, argument: Parameters<Operations[Name]>[0]): Promise<ReturnType<Operations[Name]>> {
    if (this.#dead !== undefined) return Promise.reject(this.#dead);
    this.#seq += 1;
    const seq = this.#seq;
    return new Promise((resolve, reject) => {
      this.#waiting.set(seq, { resolve: resolve as (value: unknown) => void, reject });
      this.#worker.postMessage({ seq, operation, argument } satisfies Question);
    });
  }

  /** Folds a batch. */
  fold(events: readonly RecordedEvent[], position: Position, write: When = 'later'): Promise<readonly Standing[]> {
    return this.ask('apply', { events: flatten(events), position, write });
  }

  /** Ends the thread at once. Nothing that was written is lost. */
  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.seq);
    this.#waiting.delete(answer.seq);
    if ('error' in answer) waiting?.reject(new ReadModelsUnavailable(`the read models failed: ${answer.error}`));
    else waiting?.resolve(answer.value);
  }

  #die(reason: string): void {
    const why = (this.#dead ??= new ReadModelsUnavailable(`the thread of the read models died: ${reason}`));
    for (const { reject } of this.#waiting.values()) reject(why);
    this.#waiting.clear();
    this.#tellEnd(why);
  }
}
