import type { Clock } from '#kernel';
import { type HeldLease, type InFlightLeases, inFlightLeaseMs, type LeaseStep, type LeaseTable, type LeaseView } from './port.ts';

interface Taken {
  holder: string;
  fence: number;
  untilMs: number;
}

/** Leases of holders in this process. Promises what every table does, and never is unreachable. */
export function createLeaseTable(clock: Clock): LeaseTable {
  const groups = new Map<string, Group>();
  return {
    step(step) {
      const group = groups.get(step.group) ?? new Group(clock.monotonicMs());
      groups.set(step.group, group);
      return Promise.resolve(group.step(step, clock.monotonicMs()));
    },
  };
}

class Group {
  readonly #sinceMs: number;
  readonly #members = new Map<string, number>();
  readonly #leases = new Map<string, Taken>();
  #fence = 0;

  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs;
  }

  step(step: LeaseStep, nowMs: number): LeaseView {
    this.#fence = Math.max(this.#fence, step.fenceSeen);
    for (const [member, untilMs] of this.#members) if (untilMs <= nowMs) this.#members.delete(member);
    if (step.leaves) this.#members.delete(step.holder);
    else this.#members.set(step.holder, nowMs + step.leaseMs);
    for (const lease of step.giveBack) if (this.#isOf(step.holder, lease)) this.#leases.delete(lease.name);
    const forgetful = nowMs < this.#sinceMs + step.leaseMs;
    const held = step.keep.filter((lease) => this.#keep(step, lease, forgetful, nowMs));
    if (!forgetful) this.#take(step, held, nowMs);
    return { held, members: [...this.#members.keys()].sort() };
  }

  #isOf(holder: string, { name, fence }: HeldLease): boolean {
    const taken = this.#leases.get(name);
    return taken?.holder === holder && taken.fence === fence;
  }

  #keep(step: LeaseStep, lease: HeldLease, forgetful: boolean, nowMs: number): boolean {
    const forgotten = forgetful && (this.#leases.get(lease.name)?.fence ?? 0) < lease.fence;
    if (!forgotten && !this.#isOf(step.holder, lease)) return false;
    this.#fence = Math.max(this.#fence, lease.fence);
    this.#leases.set(lease.name, { holder: step.holder, fence: lease.fence, untilMs: nowMs + step.leaseMs });
    return true;
  }

  #take(step: LeaseStep, held: HeldLease[], nowMs: number): void {
    for (const name of step.take) {
      if (held.length >= step.upTo) return;
      const taken = this.#leases.get(name);
      if (taken !== undefined && taken.holder !== step.holder && taken.untilMs > nowMs) continue;
      this.#fence += 1;
      this.#leases.set(name, { holder: step.holder, fence: this.#fence, untilMs: nowMs + step.leaseMs });
      held.push({ name, fence: this.#fence });
    }
  }
}

/** The commands under way in this process. */
export function createInFlightLeases(clock: Clock): InFlightLeases {
  const leases = new Map<string, { readonly attemptId: string; readonly untilMs: number }>();
  return {
    async once(commandId, { attemptId }, work) {
      const nowMs = clock.monotonicMs();
      if ((leases.get(commandId)?.untilMs ?? -Infinity) > nowMs) return 'busy';
      leases.set(commandId, { attemptId, untilMs: nowMs + inFlightLeaseMs });
      try {
        return await work();
      } finally {
        if (leases.get(commandId)?.attemptId === attemptId) leases.delete(commandId);
      }
    },
  };
}
