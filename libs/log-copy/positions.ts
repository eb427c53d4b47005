import type { Position } from '#kernel';

const perChunk = 65_536;

/** The positions of a log's events in their order, eight bytes each. */
export class Positions {
  readonly #chunks: BigUint64Array[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Of the next event. Throws `RangeError` when it is not behind all before. */
  push(position: Position): void {
    if (this.#count > 0 && BigInt(position) <= this.#value(this.#count - 1)) throw new RangeError(`position ${position} is not behind ${this.at(this.#count)}`);
    const chunk = this.#chunks[Math.floor(this.#count / perChunk)] ?? new BigUint64Array(perChunk);
    if (this.#count % perChunk === 0) this.#chunks.push(chunk);
    chunk[this.#count % perChunk] = BigInt(position);
    this.#count += 1;
  }

  /** Of the n-th event, counted from 1; of 0: the start of the log. */
  at(n: number): Position {
    return String(n === 0 ? 0n : this.#value(n - 1));
  }

  /** How many of the events stand at a position or before it. */
  upTo(position: Position): number {
    const sought = BigInt(position);
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.#value(middle) <= sought) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #value(index: number): bigint {
    const value = this.#chunks[Math.floor(index / perChunk)]?.[index % perChunk];
    if (value === undefined || index >= this.#count) throw new RangeError(`there is no position ${index + 1} of ${this.#count}`);
    return value;
  }
}
