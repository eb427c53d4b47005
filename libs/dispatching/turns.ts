import type { OpenStatus } from './port.ts';
import { GroupedRounds } from './rounds.ts';
import type { SlotHolder, Slots } from './slots.ts';
import type { Tenant } from './tenants.ts';

interface Queue<T> {
  readonly kind: OpenStatus;
  readonly isTrusted: boolean;
  readonly rounds: GroupedRounds<Tenant, T>;
}

/**
 * Whose turn it is: first attempts and retries, those who answer well and those who do not, take turns; there tenants do,
 * and in each tenant its subscriptions. Those for whom there is no room wait apart from those for whom there is.
 */
export class Turns<T extends SlotHolder> {
  readonly #slots: Slots;
  readonly #queues: readonly Queue<T>[];
  /** The queue whose turn it is. */
  #at = 0;

  constructor(slots: Slots) {
    this.#slots = slots;
    this.#queues = [true, false].flatMap((isTrusted) => (['PENDING', 'SCHEDULED'] as const).map((kind) => ({ kind, isTrusted, rounds: new GroupedRounds<Tenant, T>((tenant) => slots.need(tenant, kind, isTrusted)) })));
    slots.onEased = (tenant) => {
      for (const { rounds } of this.#queues) rounds.eased(tenant);
    };
  }

  get isEmpty(): boolean {
    return this.#queues.every(({ rounds }) => rounds.isEmpty);
  }

  add(item: T, kind: OpenStatus): void {
    this.#queues.find((queue) => queue.kind === kind && queue.isTrusted === item.isTrusted)?.rounds.add(item.tenant, item);
  }

  next(): T | undefined {
    // Twice round: one for whom another queue is the right one now may move to one that was passed already.
    for (let passed = 0; passed < 2 * this.#queues.length; passed += 1) {
      const queue = this.#queues[this.#at % this.#queues.length];
      this.#at += 1;
      const item = queue === undefined ? undefined : this.#nextOf(queue);
      if (item !== undefined) return item;
    }
    return undefined;
  }

  #nextOf({ kind, isTrusted, rounds }: Queue<T>): T | undefined {
    while (!rounds.isEmpty) {
      const item = rounds.next(this.#slots.free);
      if (item === undefined || item.isTrusted === isTrusted) return item;
      // What it is taken for has changed since it was put here.
      this.add(item, kind);
    }
    return undefined;
  }
}
