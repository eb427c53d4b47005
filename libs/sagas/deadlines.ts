/** When each instance is due. The earliest is remembered and looked for again only after it has gone. */
export class Deadlines {
  readonly #at = new Map<string, number>();
  #earliestMs: number | undefined = Infinity;

  set(instance: string, atMs: number | undefined): void {
    const before = this.#at.get(instance);
    if (atMs === before) return;
    if (atMs === undefined) this.#at.delete(instance);
    else this.#at.set(instance, atMs);
    if (this.#earliestMs === undefined) return;
    if (atMs !== undefined && atMs <= this.#earliestMs) this.#earliestMs = atMs;
    else if (before === this.#earliestMs) this.#earliestMs = undefined;
  }

  /** When the first is due, milliseconds since 1970 UTC; `Infinity` when none is. */
  next(): number {
    if (this.#earliestMs === undefined) {
      this.#earliestMs = Infinity;
      for (const atMs of this.#at.values()) this.#earliestMs = Math.min(this.#earliestMs, atMs);
    }
    return this.#earliestMs;
  }

  /** The instances due at this time, earliest first. They stay due until they are set anew. */
  due(nowMs: number): readonly string[] {
    if (this.next() > nowMs) return [];
    const due = [...this.#at].filter(([, atMs]) => atMs <= nowMs);
    return due.sort(([, a], [, b]) => a - b).map(([instance]) => instance);
  }
}
