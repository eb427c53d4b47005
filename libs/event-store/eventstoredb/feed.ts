import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type Clock, comparePositions, laterPosition, type Position, sleep } from '#kernel';
import type { Growth } from '../follow.ts';
import type { Tail } from '../tail.ts';
import { type LogRecord, recordOf } from './envelope.ts';
import { readFailure } from './failure.ts';
import type { Trail } from './trail.ts';

const firstPauseMs = 100;
const longestPauseMs = 5_000;

export interface FeedParts {
  readonly clock: Clock;
  /** Ends the feed. */
  readonly signal: AbortSignal;
  readonly tail: Tail;
  readonly growth: Growth;
  /** Streams that were removed, whose events the server still shows to readers of the whole log. */
  readonly removed: Set<string>;
  readonly follow: (after: Position, signal: AbortSignal) => AsyncIterable<ReadResp>;
  /** Where the log ends, the server's own records included. */
  readonly end: () => Promise<Position>;
  readonly trail: Trail;
  /** Asks the log for what the trail says must be there; aborts the signal when it is not. */
  readonly verify: () => Promise<void>;
  readonly onTrouble: (error: Error) => void;
  /** How often it is asked whether the log has moved while nothing came, and whether it is still the same. */
  readonly lookMs: number;
}

/**
 * The one subscription of the process: brings what is appended, by whomever, into the tail and wakes those who follow. When it
 * breaks it begins again behind the last event that it has handed over, after a growing pause; when it is silent for
 * two looks although the log has moved, it is broken too. Before it begins again, and at every look, the log is asked for what
 * it showed before: after a failover that lost events, other events may stand at their positions.
 */
export class Feed {
  readonly #parts: FeedParts;
  #heardTo: Position;
  #live = false;
  #unbroken = false;
  #round = new AbortController();
  #announcing = false;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: FeedParts) {
    this.#parts = parts;
    this.#heardTo = parts.tail.head;
  }

  /** Whether the tail has all that there was when the subscription began. */
  get live(): boolean {
    return this.#live;
  }

  /** While the subscription stands nothing was lost: a node that leads in the place of another has other connections. */
  get unbroken(): boolean {
    return this.#unbroken;
  }

  /** Another node leads: the subscription begins again there. */
  beginAgain(): void {
    this.#unbroken = false;
    this.#round.abort(new Error('another node leads'));
  }

  start(): void {
    this.#running = this.#run();
  }

  /** When the signal has aborted: resolves once nothing of it goes on. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, onTrouble, signal } = this.#parts;
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const before = this.#heardTo;
      const error = await this.#subscribe();
      if (signal.aborted) return;
      onTrouble(error);
      if (this.#heardTo !== before) pauseMs = firstPauseMs;
      await sleep(clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** One subscription from its beginning to its end: answers why it ended. */
  async #subscribe(): Promise<Error> {
    const round = new AbortController();
    this.#round = round;
    const signal = AbortSignal.any([this.#parts.signal, round.signal]);
    const watching = this.#watch(signal, round);
    try {
      await this.#parts.verify();
      const target = await this.#parts.end();
      this.#live = comparePositions(this.#heardTo, target) >= 0;
      for await (const message of this.#parts.follow(this.#heardTo, signal)) {
        if (message.hasConfirmation()) {
          await this.#parts.verify();
          this.#unbroken = !signal.aborted;
        }
        await this.#take(message, target);
      }
      return readFailure(round.signal.aborted ? round.signal.reason : new Error('the subscription ended'));
    } catch (error) {
      return readFailure(error);
    } finally {
      this.#live = false;
      this.#unbroken = false;
      round.abort();
      await watching;
    }
  }

  async #take(message: ReadResp, target: Position): Promise<void> {
    const record = recordOf(message);
    if (record === undefined || comparePositions(record.position, this.#heardTo) <= 0) return;
    const { trail, verify, signal } = this.#parts;
    if (!trail.show(record)) await verify();
    if (signal.aborted) return;
    this.#heardTo = record.position;
    this.#keep(record);
    this.#live ||= comparePositions(record.position, target) >= 0;
    if (record.kind !== 'system') this.#announce();
  }

  #keep(record: LogRecord): void {
    const { tail, removed } = this.#parts;
    if (record.kind === 'event') tail.push(record.read());
    if (record.kind !== 'removal') return;
    removed.add(record.stream);
    tail.forget(record.stream, record.position);
  }

  /** Once for all that came together. */
  #announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    setImmediate(() => {
      const { growth, tail } = this.#parts;
      this.#announcing = false;
      growth.announce(tail.takeNews());
    });
  }

  /** Ends the round when the log was found to be further than the subscription has come by the look after. */
  async #watch(signal: AbortSignal, round: AbortController): Promise<void> {
    const { clock, lookMs, end, verify } = this.#parts;
    let expected = this.#heardTo;
    try {
      for (;;) {
        await sleep(clock, lookMs, signal);
        await verify();
        if (comparePositions(this.#heardTo, expected) < 0) break;
        expected = laterPosition(expected, await end());
      }
      round.abort(new Error('the subscription was silent while the log moved'));
    } catch (error) {
      // The end of the round, or a server that does not answer: in both cases it is over.
      round.abort(error);
    }
  }
}
