import type { Clock } from '#kernel';
import { Ranked } from './ranked.ts';

/** An operator who sets the clock is noticed within this time. */
const longestSleepMs = 60_000;
/** A clock that is set back by less delays a wake-up by no more than this. */
const setBackMs = 100;

/** Wakes items at their times, the earliest first, with one timer for all; all of them when the clock was set back, for their times may be others now. An item set twice is woken at the earlier time. */
export class WakeUps<T> {
  readonly #clock: Clock;
  readonly #wake: (items: readonly T[]) => void;
  readonly #byTime = new Ranked<T>();
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
    return this.#byTime.held;
  }

  set(item: T, atMs: number): void {
    if ((this.#byTime.rankOf(item) ?? Infinity) <= atMs) return;
    this.#byTime.set(item, atMs);
    this.#arm();
  }

  /** It is not woken any more, and nothing holds on to it for long. */
  forget(item: T): void {
    this.#byTime.delete(item);
  }

  stop(): void {
    this.#disarm();
    this.#byTime.clear();
    this.#armedForMs = Infinity;
  }

  #arm(): void {
    const atMs = this.#byTime.first()?.rank ?? Infinity;
    if (atMs >= this.#armedForMs) return;
    this.#disarm();
    this.#armedForMs = atMs;
    const delayMs = Math.min(Math.max(0, atMs - this.#clock.now()), longestSleepMs);
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
    const all = [...this.#byTime.items()];
    this.#byTime.clear();
    return all;
  }

  #takeDue(nowMs: number): readonly T[] {
    const due: T[] = [];
    for (let first = this.#byTime.first(); first !== undefined && first.rank <= nowMs; first = this.#byTime.first()) {
      this.#byTime.delete(first.item);
      due.push(first.item);
    }
    return due;
  }
}
