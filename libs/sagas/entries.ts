import type { OpenInstances } from '#kernel';

/** Where an input stands in the log. `routed` false: it could not even be told which instance it concerns. */
export interface InputRef {
  readonly stream: string;
  readonly revision: number;
  readonly routed: boolean;
}

/** Why an instance waits, and the inputs that wait with it, the one it failed at first. */
export interface Parked {
  readonly error: string;
  readonly sinceMs: number;
  readonly inputs: readonly InputRef[];
  readonly dropped: number;
}

/** What is kept of an instance: its state (as before the input it failed at, while it is parked). */
export interface Entry {
  readonly state: object | null;
  readonly parked: Parked | null;
}

/** The instances of one follower in memory, with what has changed since the last checkpoint, and a way back within a batch. */
export class Entries implements OpenInstances<object> {
  #all = new Map<string, Entry>();
  readonly #changed = new Set<string>();
  #before: Map<string, Entry | undefined> | undefined;
  readonly #onSet: (instance: string, entry: Entry | undefined) => void;

  constructor(onSet: (instance: string, entry: Entry | undefined) => void = () => undefined) {
    this.#onSet = onSet;
  }

  get(instance: string): Entry | undefined {
    return this.#all.get(instance);
  }

  has(instance: string): boolean {
    return this.#all.has(instance);
  }

  get size(): number {
    return this.#all.size;
  }

  /** An entry without state that is not parked is the same as none. */
  set(instance: string, entry: Entry): void {
    const before = this.#all.get(instance);
    if (this.#before?.has(instance) === false) this.#before.set(instance, before);
    this.#put(instance, entry.state === null && entry.parked === null ? undefined : entry);
  }

  #put(instance: string, entry: Entry | undefined): void {
    if (entry === undefined && !this.#all.has(instance)) return;
    if (entry === undefined) this.#all.delete(instance);
    else this.#all.set(instance, entry);
    this.#changed.add(instance);
    this.#onSet(instance, entry);
  }

  *[Symbol.iterator](): Iterator<readonly [string, object]> {
    for (const [instance, { state }] of this.#all) if (state !== null) yield [instance, state];
  }

  all(): Iterable<readonly [string, Entry]> {
    return this.#all;
  }

  parked(): readonly (readonly [instance: string, parked: Parked, state: object | null])[] {
    return [...this.#all].flatMap(([instance, { parked, state }]) => (parked === null ? [] : [[instance, parked, state] as const]));
  }

  /** What is now of everything that has changed since the last checkpoint; null: nothing. */
  *changed(): Iterable<readonly [string, Entry | null]> {
    for (const instance of this.#changed) yield [instance, this.#all.get(instance) ?? null];
  }

  saved(): void {
    this.#changed.clear();
  }

  restore(entries: ReadonlyMap<string, Entry>): void {
    this.#all = new Map(entries);
    for (const [instance, entry] of entries) this.#onSet(instance, entry);
  }

  /** Runs the work of a batch; when it fails, everything is as before. */
  async atomically<T>(work: () => Promise<T>): Promise<T> {
    this.#before = new Map();
    try {
      return await work();
    } catch (error) {
      for (const [instance, entry] of this.#before) this.#put(instance, entry);
      throw error;
    } finally {
      this.#before = undefined;
    }
  }
}
