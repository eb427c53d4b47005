import type { Ids } from '#kernel';

const drawnAtOnce = 1_024;

/** Random numbers from the cryptographic source, drawn many at a time: one draw for each request would be felt. */
export class Dice {
  readonly #ids: Ids;
  #drawn = Buffer.alloc(0);
  #used = 0;

  constructor(ids: Ids) {
    this.#ids = ids;
  }

  /** At least 0, less than 1. */
  roll(): number {
    if (this.#used + 4 > this.#drawn.length) {
      this.#drawn = Buffer.from(this.#ids.randomBytes(drawnAtOnce));
      this.#used = 0;
    }
    const value = this.#drawn.readUInt32BE(this.#used) / 2 ** 32;
    this.#used += 4;
    return value;
  }
}
