import { type Deadline, status, type StatusObject, Metadata } from '@grpc/grpc-js';
import type { EventLog } from './log.ts';
import type { Refusal } from './refusals.ts';

/** What becomes of a write (append, delete, tombstone): `ignored` and `reply-lost` are never answered; `dropped-…` breaks its stream off. */
export type WriteFate = 'answered' | 'ignored' | 'reply-lost' | 'dropped-before-writing' | 'dropped-after-writing';

/** A call that can be broken off from the server's side. */
export interface OpenCall {
  emit(event: 'error', error: StatusObject): boolean;
}

/** A subscription, which can also be kept silent. */
export interface OpenSubscription extends OpenCall {
  /** When it ends by itself; `Infinity` when that is never. */
  readonly deadline: Deadline;
  pump(): void;
}

const cutOff = (): StatusObject => ({ code: status.UNAVAILABLE, details: 'Connection dropped', metadata: new Metadata() });

/** What a server does that it should not, switched by the test that holds this. Everything is as it should be at first. */
export class Misbehaviour {
  /** Of the service: the calls that are open. */
  readonly appendCalls = new Set<OpenCall>();
  readonly subscriptions = new Set<OpenSubscription>();
  readonly #log: EventLog;
  #fate: { readonly is: WriteFate; times: number } = { is: 'answered', times: 0 };
  #refusal: { readonly as: Refusal; readonly calls: 'all' | 'writes' } | undefined;
  readonly #waiting = new Set<NodeJS.Timeout>();
  #stalled = false;
  /** How many writes came here, whatever became of them. */
  writesTaken = 0;
  /** How long after it was done each call is answered. */
  answerDelayMs = 0;
  /** How many events of the log a subscription that resumes is given again, from before the position it names. */
  deliveredAgain = 0;

  constructor(log: EventLog) {
    this.#log = log;
  }

  /** What becomes of the next writes, of so many of them. */
  writes(fate: WriteFate, times = Infinity): void {
    this.#fate = { is: fate, times };
  }

  /** Refuses every call, or writes only (and what asks for the leader). A subscription that is open stays open. */
  refuse(as: Refusal, calls: 'all' | 'writes' = 'all'): void {
    this.#refusal = { as, calls };
  }

  /** Takes calls again, answers writes again, lets subscriptions go on. */
  behave(): void {
    this.#refusal = undefined;
    this.writes('answered', 0);
    this.answerDelayMs = 0;
    this.deliveredAgain = 0;
    this.resumeSubscriptions();
  }

  /** Breaks the streams off over which batches of appends come; what was not answered on them never is. */
  dropAppends(as: StatusObject = cutOff()): void {
    for (const call of this.appendCalls) call.emit('error', as);
  }

  dropSubscriptions(as: StatusObject = cutOff()): void {
    for (const call of this.subscriptions) call.emit('error', as);
  }

  /** Subscriptions stay open and say nothing, whatever is written: also new ones, after their confirmation. */
  stallSubscriptions(): void {
    this.#stalled = true;
  }

  resumeSubscriptions(): void {
    this.#stalled = false;
    for (const subscription of this.subscriptions) subscription.pump();
  }

  /** Another node leads, which never had the last events: acknowledged, perhaps seen, they are gone, and their places are used again. */
  failOver(lost: number): void {
    this.dropAppends();
    this.dropSubscriptions();
    this.#log.loseLast(lost);
    this.#log.elected();
  }

  /** Of the service: every connection is cut; what was to be answered later never is. */
  disconnected(): void {
    for (const timer of this.#waiting) clearTimeout(timer);
    this.#waiting.clear();
    this.appendCalls.clear();
    this.subscriptions.clear();
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  #fateOfWrite(): WriteFate {
    if (this.#fate.times < 1) return 'answered';
    this.#fate.times -= 1;
    return this.#fate.is;
  }

  refusalOf(call: 'write' | 'read', requiresLeader: boolean): Refusal | undefined {
    if (this.#refusal === undefined) return undefined;
    return this.#refusal.calls === 'all' || call === 'write' || requiresLeader ? this.#refusal.as : undefined;
  }

  answer(give: () => void): void {
    if (this.answerDelayMs === 0) {
      give();
      return;
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(timer);
      give();
    }, this.answerDelayMs);
    this.#waiting.add(timer);
  }

  /** A write, as it is to be done and answered now. */
  write<T>(perform: () => T, answer: (done: T) => void, drop: (as: StatusObject) => void): void {
    this.writesTaken += 1;
    const fate = this.#fateOfWrite();
    if (fate === 'ignored') return;
    if (fate === 'dropped-before-writing') {
      drop(cutOff());
      return;
    }
    const done = perform();
    if (fate === 'answered') this.answer(() => answer(done));
    if (fate === 'dropped-after-writing') drop(cutOff());
  }
}
