import { Ranked } from './ranked.ts';

/** Who may start next, in turn: who comes back stands behind everybody who waits. Each stands in it at most once. */
export class Rounds<T> {
  readonly #queued = new Set<T>();
  #now: T[] = [];
  #index = 0;
  #later: T[] = [];

  get isEmpty(): boolean {
    return this.#queued.size === 0;
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

/**
 * Rounds of rounds: groups take turns, and in each group those who wait there do. However many one group has, it is one among the
 * groups. A group may need room: one that was found to need more than there is stands aside until there is, or until it needs less,
 * and is looked at by nobody meanwhile. Of those that stand aside who needs least comes first, before who has not been looked at yet.
 */
export class GroupedRounds<G extends object, T> {
  readonly #needOf: (group: G) => number;
  readonly #groups = new Rounds<G>();
  readonly #aside = new Ranked<G>();
  readonly #members = new WeakMap<G, Rounds<T>>();

  /** `needOf`: there must be more room than that for one of the group; to be told with `eased` when it becomes less. */
  constructor(needOf: (group: G) => number = () => 0) {
    this.#needOf = needOf;
  }

  get isEmpty(): boolean {
    return this.#groups.isEmpty && this.#aside.size === 0;
  }

  add(group: G, item: T): void {
    this.#membersOf(group).add(item);
    if (this.#aside.rankOf(group) === undefined) this.#groups.add(group);
  }

  /** It needs less than before. */
  eased(group: G): void {
    if (this.#aside.delete(group)) this.#groups.add(group);
  }

  /** Of those who may, when there is so much room. */
  next(room = Infinity): T | undefined {
    for (let group = this.#nextGroup(room); group !== undefined; group = this.#nextGroup(room)) {
      const need = this.#needOf(group);
      if (need < room) return this.#memberOf(group);
      this.#aside.set(group, need);
    }
    return undefined;
  }

  #nextGroup(room: number): G | undefined {
    const first = this.#aside.first();
    if (first === undefined || first.rank >= room) return this.#groups.next();
    this.#aside.delete(first.item);
    return first.item;
  }

  #memberOf(group: G): T | undefined {
    const members = this.#membersOf(group);
    const item = members.next();
    if (!members.isEmpty) this.#groups.add(group);
    return item;
  }

  #membersOf(group: G): Rounds<T> {
    const known = this.#members.get(group);
    if (known !== undefined) return known;
    const members = new Rounds<T>();
    this.#members.set(group, members);
    return members;
  }
}
