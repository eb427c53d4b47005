import { type EventStore, patiently } from '#event-store';
import { type Clock, type Ids, sleep } from '#kernel';
import { ClaimLog, type Sight } from './claim-log.ts';
import type { ClaimSeen } from './events.ts';

/** A holder says that it is there this often. */
export const heartbeatMs = 5_000;
/** A holder whose last written heartbeat was begun so long ago stops the work of the role. */
export const suspendAfterMs = 10_000;
/** A holder that was seen to write nothing for so long has lost the role. More than `suspendAfterMs`, so that the work of two does not overlap. */
export const silentAfterMs = 15_000;
const lookAgainMs = 1_000;
/** Heartbeats of one claim, an hour of them. */
const heartbeatsOfAClaim = 720;

export interface RoleAlarm {
  readonly alarm:
    /** Another process does the role. */
    | 'role-refused'
    /** No heartbeat could be written: the work of the role has stopped, until one can. */
    | 'role-suspended'
    /** Another process has claimed the role meanwhile. */
    | 'role-lost'
    /** The release could not be written: others wait until this process has been silent long enough. */
    | 'role-not-released';
  readonly role: string;
  readonly detail: string;
}

export interface RoleClaimStatus {
  readonly role: string;
  /** `SEEKING`: it is not known yet whether another process does it. `SUSPENDED`: held, but its work has stopped. */
  readonly state: 'SEEKING' | 'REFUSED' | 'HELD' | 'SUSPENDED' | 'RELEASED';
  /** Why the work of the role is not done here, in words; null while it is. */
  readonly why: string | null;
}

/** How the work of a role ends. `released`: nobody else begins before it is over. `lost`: somebody else may have begun. */
export type Ending = 'released' | 'lost';

export interface RoleClaimParts {
  readonly store: Pick<EventStore, 'append' | 'readStream' | 'tombstone'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly role: string;
  /** Which process this is, in words for people who look for it. */
  readonly process: string;
  /**
   * Begins the work of the role. Answers how to end it: nothing new is begun from then on; the promise resolves when all is over. Never begun again before
   * that. What is being released may still be lost.
   */
  readonly begin: () => (how: Ending) => Promise<void>;
  readonly onAlarm: (alarm: RoleAlarm) => void;
  /** What must not happen: the log or the work failed in a way that is not known. */
  readonly onFatal: (error: unknown) => void;
}

export interface RoleClaim {
  /** Begins to seek the role. Resolves at once. */
  start(): void;
  /** Ends the work, and begins it anew once a heartbeat has shown that the role is still held: for work that has met a second owner. */
  restart(): void;
  /** Ends the work, then releases the role so that another can take it at once. */
  stop(): Promise<void>;
  status(): RoleClaimStatus;
  /** May something new begin? Asked each time: measured on the monotonic clock, whenever a heartbeat came last. */
  held(): boolean;
}

/**
 * Makes one process of several on a log do the work of a role, without a clock that they share: a process takes the role
 * when nobody holds it, or when it has itself watched the holder write nothing for 15 s while the store answered; a holder
 * stops by itself after 10 s without a heartbeat. It keeps work from being done twice for nothing. What must not be done
 * twice is fenced by exact revisions, whoever believes to hold the role.
 */
export const createRoleClaim = (parts: RoleClaimParts): RoleClaim => new Claim(parts);

class Claim implements RoleClaim {
  readonly #parts: RoleClaimParts;
  readonly #log: ClaimLog;
  readonly #stopping = new AbortController();
  #running: Promise<void> | undefined;
  #state: RoleClaimStatus['state'] = 'SEEKING';
  #holder = '';
  /** The revision of the claim that this process believes to hold. */
  #claim: number | undefined;
  /** When the holder was last seen to have written something, or the store did not answer; on the monotonic clock. */
  #movedMs = 0;
  #isStopping = false;
  #end: ((how: Ending) => Promise<void>) | undefined;
  #ending: { readonly how: Ending; readonly over: Promise<void> } | undefined;
  #heldUntilMs = -Infinity;
  #cancelExpiry = (): void => undefined;

  constructor(parts: RoleClaimParts) {
    const { clock } = parts;
    this.#parts = parts;
    // Silence that nobody could have broken is none.
    const patience = { clock, signal: this.#stopping.signal, onTrouble: () => void (this.#movedMs = clock.monotonicMs()) };
    this.#log = new ClaimLog({ ...parts, durably: (work) => patiently(work, patience) });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  restart(): void {
    this.#halt('released');
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#halt('released');
    await this.#ending?.over;
    this.#stopping.abort(new Error('the role is given up'));
    await this.#running;
    await this.#release();
    this.#state = 'RELEASED';
  }

  status(): RoleClaimStatus {
    return { role: this.#parts.role, state: this.#state, why: this.#why() };
  }

  held(): boolean {
    return this.#state === 'HELD' && this.#parts.clock.monotonicMs() < this.#heldUntilMs;
  }

  #why(): string | null {
    switch (this.#state) {
      case 'HELD':
        return null;
      case 'SEEKING':
        return 'it is not known yet whether another process does it';
      case 'REFUSED':
        return `another process, ${this.#holder}, does it on this log; it is taken over when that one stops, or has written nothing for ${silentAfterMs / 1_000} s`;
      case 'SUSPENDED':
        return `no heartbeat could be written for ${suspendAfterMs / 1_000} s`;
      case 'RELEASED':
        return 'it was given up';
    }
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const begunMs = await this.#seek();
        await this.#hold(begunMs);
      }
    } catch (error) {
      if (!this.#stopping.signal.aborted) this.#parts.onFatal(error);
    } finally {
      this.#cancelExpiry();
    }
  }

  /** Watches until the role is free or its holder silent, and claims it. Answers when that was begun. */
  async #seek(): Promise<number> {
    let sight = await this.#log.look();
    this.#movedMs = this.#parts.clock.monotonicMs();
    for (;;) {
      const begunMs = this.#parts.clock.monotonicMs();
      if (this.#isToBeHad(sight)) {
        this.#claim = await this.#log.claim(sight);
        if (this.#claim !== undefined) return begunMs;
      } else this.#refused(sight.last);
      await this.#pause(lookAgainMs);
      const before = sight;
      sight = await this.#log.lookAgain(before);
      if (sight.last !== before.last || sight.heartbeats !== before.heartbeats) this.#movedMs = this.#parts.clock.monotonicMs();
    }
  }

  #isToBeHad({ last }: Sight): boolean {
    return last === undefined || last.released || this.#parts.clock.monotonicMs() - this.#movedMs >= silentAfterMs;
  }

  #refused(last: ClaimSeen | undefined): void {
    const { process = '' } = last ?? {};
    if (this.#state === 'REFUSED' && this.#holder === process) return;
    this.#holder = process;
    this.#state = 'REFUSED';
    this.#alarm('role-refused');
  }

  /** Returns when the role is lost. */
  async #hold(begunMs: number): Promise<void> {
    this.#held(begunMs);
    for (let heartbeats = 0; this.#claim !== undefined; heartbeats = heartbeats === heartbeatsOfAClaim ? 0 : heartbeats + 1) {
      const { clock } = this.#parts;
      await this.#pause(Math.max(0, begunMs + heartbeatMs - clock.monotonicMs()));
      begunMs = clock.monotonicMs();
      this.#claim = await (heartbeats === heartbeatsOfAClaim ? this.#claimAnew(this.#claim, heartbeats) : this.#heartbeat(this.#claim, heartbeats));
      if (this.#claim !== undefined) this.#held(begunMs);
    }
    this.#cancelExpiry();
    this.#state = 'SEEKING';
    this.#parts.onAlarm({ alarm: 'role-lost', role: this.#parts.role, detail: 'another process has claimed the role' });
    this.#halt('lost');
  }

  async #heartbeat(claim: number, heartbeats: number): Promise<number | undefined> {
    return (await this.#log.heartbeat(claim, heartbeats)) ? claim : undefined;
  }

  #claimAnew(claimRevision: number, heartbeats: number): Promise<number | undefined> {
    return this.#log.claim({ last: { revision: claimRevision, claimRevision, released: false, process: this.#parts.process }, heartbeats });
  }

  /** Something was written, and others may have seen it since it was begun. */
  #held(begunMs: number): void {
    const { clock } = this.#parts;
    this.#cancelExpiry();
    this.#heldUntilMs = begunMs + suspendAfterMs;
    const leftMs = this.#heldUntilMs - clock.monotonicMs();
    // What took so long is no news; the next heartbeat is due at once.
    if (leftMs <= 0) return this.#suspend();
    this.#cancelExpiry = clock.after(leftMs, () => this.#suspend());
    this.#begin();
  }

  #suspend(): void {
    if (this.#state === 'SUSPENDED') return;
    this.#state = 'SUSPENDED';
    this.#alarm('role-suspended');
    this.#halt('lost');
  }

  #begin(): void {
    if (this.#isStopping || this.#ending !== undefined) return;
    this.#state = 'HELD';
    this.#end ??= this.#parts.begin();
  }

  #halt(how: Ending): void {
    const end = this.#end;
    if (end === undefined || this.#ending?.how === how || this.#ending?.how === 'lost') return;
    const ended = end(how).catch((error: unknown) => this.#parts.onFatal(error));
    const over = Promise.all([this.#ending?.over, ended]).then(() => {
      if (this.#ending?.over !== over) return;
      this.#ending = undefined;
      this.#end = undefined;
    });
    this.#ending = { how, over };
  }

  async #release(): Promise<void> {
    if (this.#claim === undefined) return;
    try {
      // False: another has it already.
      await this.#log.release(this.#claim);
    } catch {
      // One try: whoever waits for this process to end does not wait for the store.
      this.#parts.onAlarm({ alarm: 'role-not-released', role: this.#parts.role, detail: `another process can take it in ${silentAfterMs / 1_000} s` });
    }
  }

  #alarm(alarm: RoleAlarm['alarm']): void {
    this.#parts.onAlarm({ alarm, role: this.#parts.role, detail: this.#why() ?? '' });
  }

  #pause(delayMs: number): Promise<void> {
    return sleep(this.#parts.clock, delayMs, this.#stopping.signal);
  }
}
