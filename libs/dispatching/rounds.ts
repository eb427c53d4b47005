/** Who may start next, in turn: who comes back stands behind everybody who waits. Each stands in it at most once. */
export class Rounds<T> {
  readonly #queued = new Set<T>();
  #now: T[] = [];
  #index = 0;
  #later: T[] = [];

  get isEmpty(): boolean {
    return this.#queued.size === 0;
  }

  get size(): number {
    return this.#queued.size;
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

/** Rounds of rounds: groups take turns, and in each group those who wait there do. However many one group has, it is one among the groups. */
export class GroupedRounds<G extends object, T> {
  readonly #groups = new Rounds<G>();
  readonly #members = new WeakMap<G, Rounds<T>>();

  get isEmpty(): boolean {
    return this.#groups.isEmpty;
  }

  add(group: G, item: T): void {
    this.#membersOf(group).add(item);
    this.#groups.add(group);
  }

  /** Of the groups that may: the others keep their places among themselves. */
  next(may: (group: G) => boolean = () => true): T | undefined {
    for (let left = this.#groups.size; left > 0; left -= 1) {
      const group = this.#groups.next();
      if (group === undefined) return undefined;
      const members = this.#membersOf(group);
      const item = may(group) ? members.next() : undefined;
      if (!members.isEmpty) this.#groups.add(group);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  #membersOf(group: G): Rounds<T> {
    const known = this.#members.get(group);
    if (known !== undefined) return known;
    const members = new Rounds<T>();
    this.#members.set(group, members);
    return members;
  }
}
