/** So many that are skipped when they come may stand in the heap beside as many as are waited for. */
const skippedAtMost = 64;

interface Entry<T> {
  readonly item: T;
  readonly rank: number;
  readonly turn: number;
}

/** Items by rank, the lowest first; among equals who came first. Each at most once. A binary heap: what was removed is skipped when it comes up, and not held on to for long. */
export class Ranked<T> {
  #heap: Entry<T>[] = [];
  readonly #entries = new Map<T, Entry<T>>();
  #turn = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** How many are held on to, those that will be skipped included. */
  get held(): number {
    return this.#heap.length;
  }

  items(): Iterable<T> {
    return this.#entries.keys();
  }

  rankOf(item: T): number | undefined {
    return this.#entries.get(item)?.rank;
  }

  /** Puts it in, or elsewhere. */
  set(item: T, rank: number): void {
    this.#turn += 1;
    const entry = { item, rank, turn: this.#turn };
    this.#entries.set(item, entry);
    this.#push(entry);
    this.#sweep();
  }

  delete(item: T): boolean {
    const was = this.#entries.delete(item);
    if (was) this.#sweep();
    return was;
  }

  clear(): void {
    this.#heap = [];
    this.#entries.clear();
  }

  first(): { readonly item: T; readonly rank: number } | undefined {
    for (let top = this.#heap[0]; top !== undefined; top = this.#heap[0]) {
      if (this.#entries.get(top.item) === top) return top;
      this.#pop();
    }
    return undefined;
  }

  #sweep(): void {
    if (this.#heap.length > 2 * this.#entries.size + skippedAtMost) this.#heap = [...this.#entries.values()].sort((a, b) => (isBefore(a, b) ? -1 : 1));
  }

  #push(entry: Entry<T>): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, entry)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (let child = this.#firstChild(0); child !== undefined; child = this.#firstChild(index)) {
      const entry = heap[child];
      if (entry === undefined || isBefore(last, entry)) break;
      heap[index] = entry;
      index = child;
    }
    heap[index] = last;
  }

  #firstChild(index: number): number | undefined {
    const [left, right] = [this.#heap[2 * index + 1], this.#heap[2 * index + 2]];
    if (left === undefined) return undefined;
    return right !== undefined && isBefore(right, left) ? 2 * index + 2 : 2 * index + 1;
  }
}

const isBefore = (a: Entry<unknown>, b: Entry<unknown>): boolean => a.rank < b.rank || (a.rank === b.rank && a.turn < b.turn);
