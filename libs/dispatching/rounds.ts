/** Who may start next, in turn: who comes back stands behind everybody who waits. Each stands in it at most once. */
export class Rounds<T> {
  readonly #queued = new Set<T>();
  #now: T[] = [];
  #index = 0;
  #later: T[] = [];

  get isEmpty(): boolean {
    return this.#queued.size === 0;
  }

  add(item: T): void {
    if (this.#queued.has(item)) return;
    this.#queued.add(item);
    this.#later.push(item);
  }

  next(): T | undefined {
    if (this.#index === this.#now.length) {
      this.#now = this.#later;
      this.#later = [];
      this.#index = 0;
    }
    const item = this.#now[this.#index];
    if (item === undefined) return undefined;
    this.#index += 1;
    this.#queued.delete(item);
    return item;
  }
}
