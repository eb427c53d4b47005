import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { type Clock, comparePositions, laterPosition, type Position, sleep } from '#kernel';
import type { Growth } from '../follow.ts';
import type { Tail } from '../tail.ts';
import { recordOf } from './envelope.ts';
import { readFailure } from './failure.ts';

const firstPauseMs = 100;
const longestPauseMs = 5_000;

export interface FeedParts {
  readonly clock: Clock;
  readonly tail: Tail;
  readonly growth: Growth;
  /** Streams that were removed, whose events the server still shows to readers of the whole log. */
  readonly removed: Set<string>;
  readonly follow: (after: Position, signal: AbortSignal) => AsyncIterable<ReadResp>;
  /** Where the log ends, the server's own records included. */
  readonly end: () => Promise<Position>;
  readonly onTrouble: (error: Error) => void;
  /** How often it is asked whether the log has moved while nothing came. */
  readonly lookMs: number;
}

/**
 * The one subscription of the process: brings what is appended, by whomever, into the tail and wakes those who follow. When it
 * breaks it begins again behind the last event that it has handed over, after a growing pause; when it is silent for
 * two looks although the log has moved, it is broken too.
 */
export class Feed {
  readonly #parts: FeedParts;
  readonly #stopping = new AbortController();
  #heardTo: Position;
  #live = false;
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

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, onTrouble } = this.#parts;
    const { signal } = this.#stopping;
    for (let pauseMs = firstPauseMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      const before = this.#heardTo;
      const error = await this.#round();
      if (signal.aborted) return;
      onTrouble(error);
      if (this.#heardTo !== before) pauseMs = firstPauseMs;
      await sleep(clock, pauseMs, signal).catch(() => undefined);
    }
  }

  /** One subscription from its beginning to its end: answers why it ended. */
  async #round(): Promise<Error> {
    const round = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, round.signal]);
    const watching = this.#watch(signal, round);
    try {
      const target = await this.#parts.end();
      this.#live = comparePositions(this.#heardTo, target) >= 0;
      for await (const message of this.#parts.follow(this.#heardTo, signal)) this.#take(message, target);
      return readFailure(new Error(round.signal.aborted ? 'the subscription was silent while the log moved' : 'the subscription ended'));
    } catch (error) {
      return readFailure(error);
    } finally {
      this.#live = false;
      round.abort();
      await watching;
    }
  }

  #take(message: ReadResp, target: Position): void {
    const record = recordOf(message);
    if (record === undefined || comparePositions(record.position, this.#heardTo) <= 0) return;
    this.#heardTo = record.position;
    const { tail, removed } = this.#parts;
    if (record.kind === 'event') tail.push(record.read());
    if (record.kind === 'removal') {
      removed.add(record.stream);
      tail.forget(record.stream, record.position);
    }
    this.#live ||= comparePositions(record.position, target) >= 0;
    if (record.kind !== 'system') this.#announce();
  }

  /** Once for all that came together. */
  #announce(): void {
    if (this.#announcing) return;
    this.#announcing = true;
    setImmediate(() => {
      this.#announcing = false;
      this.#parts.growth.announce();
    });
  }

  /** Ends the round when the log was found to be further than the subscription has come by the look after. */
  async #watch(signal: AbortSignal, round: AbortController): Promise<void> {
    const { clock, lookMs, end } = this.#parts;
    let expected = this.#heardTo;
    while (!signal.aborted) {
      try {
        await sleep(clock, lookMs, signal);
        if (comparePositions(this.#heardTo, expected) < 0) break;
        expected = laterPosition(expected, await end());
      } catch {
        // The end of the round, or a server that does not answer: in both cases it is over.
        break;
      }
    }
    round.abort();
  }
}
