import type { Clock } from '#kernel';

/** An operator who sets the clock is noticed within this time. */
const longestSleepMs = 60_000;
/** A clock that is set back by less delays a wake-up by no more than this. */
const setBackMs = 100;
/** So many that are skipped when they come may stand in the heap beside as many as are waited for. */
const skippedAtMost = 64;

/** Wakes items at their times, the earliest first, with one timer for all; all of them when the clock was set back, for their times may be others now. An item set twice is woken at the earlier time. */
export class WakeUps<T> {
  readonly #clock: Clock;
  readonly #wake: (items: readonly T[]) => void;
  /** A binary heap by time; an item whose time has changed since is skipped. */
  readonly #heap: { readonly atMs: number; readonly item: T }[] = [];
  readonly #times = new Map<T, number>();
  #armedForMs = Infinity;
  /** The wall clock, less the monotonic one, when it was looked at last. */
  #aheadMs: number;
  #disarm: () => void = () => undefined;

  constructor(clock: Clock, wake: (items: readonly T[]) => void) {
    this.#clock = clock;
    this.#wake = wake;
    this.#aheadMs = clock.now() - clock.monotonicMs();
  }

  /** How many are held on to, those that will be skipped included. */
  get size(): number {
    return this.#heap.length;
  }

  set(item: T, atMs: number): void {
    if ((this.#times.get(item) ?? Infinity) <= atMs) return;
    this.#times.set(item, atMs);
    this.#push({ atMs, item });
    this.#arm();
  }

  /** It is not woken any more, and nothing holds on to it for long. */
  forget(item: T): void {
    this.#times.delete(item);
    if (this.#heap.length <= 2 * this.#times.size + skippedAtMost) return;
    const kept = this.#heap.filter(({ item: one, atMs }) => this.#times.get(one) === atMs);
    this.#heap.splice(0, Infinity, ...kept.sort((a, b) => a.atMs - b.atMs));
  }

  stop(): void {
    this.#disarm();
    this.#heap.length = 0;
    this.#times.clear();
    this.#armedForMs = Infinity;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.atMs >= this.#armedForMs) return;
    this.#disarm();
    this.#armedForMs = first.atMs;
    const delayMs = Math.min(Math.max(0, first.atMs - this.#clock.now()), longestSleepMs);
    this.#disarm = this.#clock.after(delayMs, () => this.#fire());
  }

  #fire(): void {
    this.#armedForMs = Infinity;
    const nowMs = this.#clock.now();
    const due = this.#wasSetBack(nowMs) ? this.#takeAll() : this.#takeDue(nowMs);
    this.#wake(due);
    this.#arm();
  }

  #wasSetBack(nowMs: number): boolean {
    const beforeMs = this.#aheadMs;
    this.#aheadMs = nowMs - this.#clock.monotonicMs();
    return this.#aheadMs < beforeMs - setBackMs;
  }

  #takeAll(): readonly T[] {
    const all = [...this.#times.keys()];
    this.#heap.length = 0;
    this.#times.clear();
    return all;
  }

  #takeDue(nowMs: number): readonly T[] {
    const due: T[] = [];
    for (let first = this.#heap[0]; first !== undefined && first.atMs <= nowMs; first = this.#heap[0]) {
      this.#pop();
      if (this.#times.get(first.item) !== first.atMs) continue;
      this.#times.delete(first.item);
      due.push(first.item);
    }
    return due;
  }

  #push(entry: { readonly atMs: number; readonly item: T }): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(entry);
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.atMs <= entry.atMs) break;
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
    for (let child = this.#earlierChild(0); child !== undefined; child = this.#earlierChild(index)) {
      const entry = heap[child];
      if (entry === undefined || entry.atMs >= last.atMs) break;
      heap[index] = entry;
      index = child;
    }
    heap[index] = last;
  }

  #earlierChild(index: number): number | undefined {
    const [left, right] = [this.#heap[2 * index + 1], this.#heap[2 * index + 2]];
    if (left === undefined) return undefined;
    return right !== undefined && right.atMs < left.atMs ? 2 * index + 2 : 2 * index + 1;
  }
}
