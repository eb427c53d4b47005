/** What is held in any 10 s: no more than 5 % above the rate, which is half a second of it. */
const toleranceMs = 500;
/** A start that comes late by no more than this is made up for: else timers that are late would slow it down. */
const mostLateMs = 200;

/**
 * Spaces the requests to one endpoint evenly, so many a second: each may start an interval after the one before it should have. What
 * was late is made up for, as far as any 10 s hold no more than 5 % above the rate; a pause is not, so there is no burst after it.
 * The generic cell rate algorithm, ITU-T I.371. Times are of the monotonic clock.
 */
export class Pace {
  #intervalMs = 0;
  #lateMs = 0;
  /** The last start that is known of, or since when there was none by anybody else. */
  #lastMs: number;
  #nextMs = 0;

  /** `sinceMs`: before it somebody else may have sent. */
  constructor(sinceMs: number) {
    this.#lastMs = sinceMs;
  }

  get isLimited(): boolean {
    return this.#intervalMs > 0;
  }

  /** So many requests a second; undefined: as many as can be. */
  setRate(perSecond: number | undefined): void {
    const intervalMs = perSecond === undefined ? 0 : 1_000 / perSecond;
    if (intervalMs === this.#intervalMs) return;
    this.#intervalMs = intervalMs;
    this.#lateMs = Math.max(0, Math.min(mostLateMs, toleranceMs - intervalMs));
    this.#nextMs = this.#lastMs + intervalMs;
  }

  /** Somebody else may have sent up to now. */
  othersSentUntil(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#nextMs = Math.max(this.#nextMs, nowMs + this.#intervalMs);
  }

  /** How long the next request has to wait. */
  waitMs(nowMs: number): number {
    return this.#intervalMs === 0 ? 0 : Math.max(0, this.#nextMs - nowMs);
  }

  /** Whether nothing would be different if it were forgotten, and `sinceMs` long ago. */
  isPast(nowMs: number): boolean {
    return this.#intervalMs === 0 || this.#nextMs + mostLateMs <= nowMs;
  }

  started(nowMs: number): void {
    this.#lastMs = nowMs;
    this.#nextMs = Math.max(this.#nextMs, nowMs - this.#lateMs) + this.#intervalMs;
  }
}
