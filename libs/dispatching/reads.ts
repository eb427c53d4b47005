import { GroupedRounds } from './rounds.ts';

/** Runs at most `width` pieces of work at a time; of those that wait, one of each group in turn. */
export class Reads<G extends object> {
  #free: number;
  readonly #waiting = new GroupedRounds<G, () => void>();

  constructor(width: number) {
    this.#free = width;
  }

  async run<T>(group: G, work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((go) => this.#waiting.add(group, go));
    try {
      return await work();
    } finally {
      const next = this.#waiting.next();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
