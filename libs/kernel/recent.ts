/**
 * The values set or asked for last: at least `kept` of them, at most twice as many. Two generations: what is used moves to the
 * young one, and when that is full the old one is dropped whole (a Map that is emptied entry by entry from its start gets slow).
 */
export class Recent<Value> {
  readonly #kept: number;
  #young = new Map<string, Value>();
  #old = new Map<string, Value>();

  constructor(kept: number) {
    this.#kept = kept;
  }

  get(key: string): Value | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    if (old !== undefined) this.set(key, old);
    return old;
  }

  set(key: string, value: Value): void {
    if (this.#young.size >= this.#kept && !this.#young.has(key)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
  }

  delete(key: string): void {
    this.#young.delete(key);
    this.#old.delete(key);
  }
}
