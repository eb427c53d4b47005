import type { Clock } from '#kernel';
import { type HeldLease, type LeaseTable, LeasesUnreachable, type LeaseView } from './port.ts';
import { shareOf } from './share.ts';

export interface LeaseTimes {
  /** How long a lease lasts where it is kept. */
  readonly leaseMs: number;
  /** How long its holder relies on it, from the moment it asked. What is left of `leaseMs` is how late an answer may come. */
  readonly trustMs: number;
  readonly renewEveryMs: number;
  readonly retryAfterMs: number;
}

export const leaseTimes: LeaseTimes = { leaseMs: 15_000, trustMs: 10_000, renewEveryMs: 3_000, retryAfterMs: 1_000 };

export interface LeaseKeeperParts {
  readonly table: LeaseTable;
  readonly clock: Clock;
  readonly group: string;
  /** All there is to divide, the same in every process. */
  readonly names: readonly string[];
  /** This process and no other, not even the one that it was before a restart. */
  readonly holder: string;
  readonly onGained: (lease: HeldLease) => void;
  /** Somebody else may hold it from now on: end what is under way. Not called for what was drained. */
  readonly onLost: (name: string) => void;
  /** Resolves when nothing under way needs the lease any more; then it is given back. Nothing new may start: `held` says no. */
  readonly drained: (name: string) => Promise<void>;
  /** The table can't be asked, at every try; `forMs`: for how long it could not. */
  readonly onTrouble: (error: LeasesUnreachable, forMs: number) => void;
  /** Whether this process can do the work: asked every second or so. While it says no, the keeper is no member, and gives back what it has. */
  readonly isFit?: () => boolean;
  readonly times?: LeaseTimes;
}

/** Holds a fair share of a group's leases for this process, for as long as it runs. */
export interface LeaseKeeper {
  /** May something new start under this lease? Asked at each send: measured on the monotonic clock, whenever a renewal came last. */
  held(name: string): boolean;
  /** What this process relies on now, also what is being drained. */
  leases(): readonly HeldLease[];
  /** The processes among which the leases are divided, as last seen. */
  members(): readonly string[];
  /** Why the table did not answer when it was asked last; null: it did, or was not asked yet. */
  trouble(): string | null;
  /** Gives all back, each once it is drained, and leaves the group. What can't be given back runs out by itself. */
  stop(): Promise<void>;
}

interface Kept extends HeldLease {
  trustedUntilMs: number;
  phase: 'held' | 'draining' | 'drained';
}

/**
 * Joins the group and keeps its share of it: takes what is free, renews all in one step every few seconds, gives back what is above
 * its share when others join. What could not be renewed for `trustMs` is lost, whatever the table says later.
 */
export function startLeaseKeeper(parts: LeaseKeeperParts): LeaseKeeper {
  const keeper = new Keeper(parts);
  const running = keeper.run();
  return {
    held: (name) => keeper.held(name),
    leases: () => keeper.leases(),
    members: () => keeper.members,
    trouble: () => keeper.trouble,
    stop: async () => {
      keeper.stop();
      await running;
    },
  };
}

class Keeper {
  readonly #parts: LeaseKeeperParts;
  readonly #times: LeaseTimes;
  readonly #isFit: () => boolean;
  readonly #kept = new Map<string, Kept>();
  members: readonly string[] = [];
  trouble: string | null = null;
  #troubledSinceMs = 0;
  #fenceSeen = 0;
  #stopping = false;
  /** Something to tell the table has come up: the pause ends. */
  #urgent = false;
  #wake: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
    this.#times = parts.times ?? leaseTimes;
    this.#isFit = parts.isFit ?? (() => true);
  }

  held(name: string): boolean {
    const kept = this.#kept.get(name);
    return kept?.phase === 'held' && this.#isTrusted(kept);
  }

  leases(): readonly HeldLease[] {
    return [...this.#kept.values()].filter((kept) => kept.phase !== 'drained' && this.#isTrusted(kept)).map(leaseOf);
  }

  stop(): void {
    this.#stopping = true;
    this.#hurry();
  }

  async run(): Promise<void> {
    while (this.#isNeeded()) {
      const answered = await this.#renew();
      this.#giveUpExcess();
      if (this.#isNeeded()) await this.#pause(answered && this.#isSettled() ? this.#times.renewEveryMs : this.#times.retryAfterMs);
    }
    this.#cancelExpiry();
    await this.#step({ keep: [], giveBack: this.#inPhase('drained').map(leaseOf), take: [], upTo: 0, leaves: true });
  }

  #isNeeded = (): boolean => !this.#stopping || this.#kept.size > this.#inPhase('drained').length;

  /** What others give away meanwhile is taken soon. */
  #isSettled = (): boolean => this.#isFit() && this.#kept.size >= this.#share();

  #isTrusted = ({ trustedUntilMs }: Kept): boolean => this.#parts.clock.monotonicMs() < trustedUntilMs;

  #share(): number {
    return this.#stopping || !this.#isFit() ? 0 : shareOf(this.#parts.names.length, this.members, this.#parts.holder);
  }

  #inPhase(phase: Kept['phase']): readonly Kept[] {
    return [...this.#kept.values()].filter((kept) => kept.phase === phase);
  }

  async #renew(): Promise<boolean> {
    this.#urgent = false;
    this.#expire();
    const sentMs = this.#parts.clock.monotonicMs();
    const giveBack = this.#inPhase('drained').map(leaseOf);
    const keep = [...this.#kept.values()].filter(({ phase }) => phase !== 'drained').map(leaseOf);
    const share = this.#share();
    const take = share > 0 ? this.#parts.names.filter((name) => !this.#kept.has(name)) : [];
    const view = await this.#step({ keep, giveBack, take, upTo: share + this.#inPhase('draining').length, leaves: this.#stopping || !this.#isFit() });
    if (view === undefined) return false;
    for (const { name } of giveBack) this.#kept.delete(name);
    this.#take(view, keep, sentMs + this.#times.trustMs);
    this.members = view.members;
    if (this.#share() > share) this.#hurry();
    return true;
  }

  /** One round trip. Nothing for an answer that comes too late to be relied on: the lease may have run out in the meantime. */
  async #step(step: { keep: readonly HeldLease[]; giveBack: readonly HeldLease[]; take: readonly string[]; upTo: number; leaves: boolean }): Promise<LeaseView | undefined> {
    const { table, clock, group, holder, onTrouble } = this.#parts;
    const { leaseMs, trustMs } = this.#times;
    const patienceMs = leaseMs - trustMs;
    let cancel = (): void => undefined;
    const tooLate = new Promise<never>((_resolve, reject) => {
      cancel = clock.after(patienceMs, () => reject(new LeasesUnreachable(`no answer within ${patienceMs} ms`)));
    });
    const sentMs = clock.monotonicMs();
    try {
      const view = await Promise.race([table.step({ group, holder, ...step, fenceSeen: this.#fenceSeen, leaseMs }), tooLate]);
      if (clock.monotonicMs() - sentMs > patienceMs) throw new LeasesUnreachable(`an answer after more than ${patienceMs} ms`);
      this.trouble = null;
      return view;
    } catch (error) {
      if (!(error instanceof LeasesUnreachable)) throw error;
      if (this.trouble === null) this.#troubledSinceMs = sentMs;
      this.trouble = error.message;
      onTrouble(error, clock.monotonicMs() - this.#troubledSinceMs);
      return undefined;
    } finally {
      cancel();
    }
  }

  #take({ held }: LeaseView, asked: readonly HeldLease[], trustedUntilMs: number): void {
    const fences = new Map(held.map(({ name, fence }) => [name, fence]));
    for (const { name, fence } of asked) if (fences.get(name) !== fence) this.#lose(name);
    for (const lease of held) {
      this.#fenceSeen = Math.max(this.#fenceSeen, lease.fence);
      const kept = this.#kept.get(lease.name);
      if (kept !== undefined) kept.trustedUntilMs = trustedUntilMs;
      else {
        this.#kept.set(lease.name, { ...lease, trustedUntilMs, phase: 'held' });
        this.#parts.onGained(lease);
      }
    }
    this.#expire();
  }

  #lose(name: string): void {
    const kept = this.#kept.get(name);
    this.#kept.delete(name);
    if (kept !== undefined && kept.phase !== 'drained') this.#parts.onLost(name);
  }

  /** Loses what ran out, and looks again when the next one does. */
  #expire(): void {
    this.#cancelExpiry();
    for (const kept of this.#kept.values()) if (!this.#isTrusted(kept)) this.#lose(kept.name);
    const nextMs = Math.min(...[...this.#kept.values()].map(({ trustedUntilMs }) => trustedUntilMs));
    if (nextMs === Infinity) return;
    // Timers of Node may fire a fraction of a millisecond early.
    this.#cancelExpiry = this.#parts.clock.after(Math.ceil(nextMs - this.#parts.clock.monotonicMs()), () => {
      this.#expire();
      if (this.#stopping) this.#hurry();
    });
  }

  #giveUpExcess(): void {
    for (const kept of this.#inPhase('held').slice(this.#share())) {
      kept.phase = 'draining';
      // What drains a lease never fails; if it does, that is a fault of the program, and ends it.
      void this.#parts.drained(kept.name).then(() => {
        kept.phase = 'drained';
        this.#hurry();
      });
    }
  }

  #hurry(): void {
    this.#urgent = true;
    this.#wake();
  }

  async #pause(forMs: number): Promise<void> {
    if (this.#urgent) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(forMs, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}

const leaseOf = ({ name, fence }: HeldLease): HeldLease => ({ name, fence });
