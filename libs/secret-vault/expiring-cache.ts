import type { Clock } from '#kernel';

/** Keeps the values used last, at most `capacity` of them and each at most `keepMs` after it was put in. */
export class ExpiringCache<Value> {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #keepMs: number;
  readonly #entries = new Map<string, { readonly value: Value; readonly untilMs: number }>();

  constructor(clock: Clock, capacity: number, keepMs: number) {
    this.#clock = clock;
    this.#capacity = capacity;
    this.#keepMs = keepMs;
  }

  get(key: string): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (entry.untilMs <= this.#clock.monotonicMs()) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  put(key: string, value: Value): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, untilMs: this.#clock.monotonicMs() + this.#keepMs });
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#capacity) return;
      this.#entries.delete(oldest);
    }
  }

  drop(belongs: (key: string) => boolean): void {
    for (const key of this.#entries.keys()) if (belongs(key)) this.#entries.delete(key);
  }
}
