import { type AttemptOutcome, type DeliveryEvent, type DeliveryState, evolveDelivery, initialDelivery } from '#deliveries';
import { type AppendResult, type EventStore, patiently, type Patience, WrongExpectedRevision } from '#event-store';
import { type Clock, type Ids, isLedgerEvent, type Metadata, type NewEvent, type RecordedEvent, stored } from '#kernel';
import type { TranscriptLog, TranscriptText } from './transcripts.ts';

export type OutcomeEvent = Extract<DeliveryEvent, { type: 'WebhookDeliverySucceeded' | 'WebhookDeliveryAttemptFailed' | 'WebhookDeliveryDeadLettered' }>;

/** What one finished request has to leave in the log. */
export interface Finished {
  /** The delivery's stream, and the revision at which the request was made. */
  readonly stream: string;
  readonly revision: number;
  readonly event: OutcomeEvent;
  readonly metadata: Metadata;
  readonly transcript: TranscriptText;
}

export interface Recorded {
  /** Of the delivery's stream, with our event. */
  readonly revision: number;
  /** The delivery as its stream says, when somebody else has written to it too. */
  readonly state?: DeliveryState;
}

export interface RecorderParts {
  readonly store: Pick<EventStore, 'append' | 'readStream'>;
  readonly transcripts: Pick<TranscriptLog, 'write'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly patience: Patience;
  readonly maxUnrecorded: number;
  readonly maxWaitMs: number;
}

/** Records outcomes: the transcript, and behind it the outcome at the delivery's exact revision; many at a time, none waits for another. */
export class OutcomeRecorder {
  readonly #parts: RecorderParts;
  /** In the order of their coming. */
  readonly #unrecorded = new Map<Finished, number>();

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  get unrecorded(): number {
    return this.#unrecorded.size;
  }

  /** Whether more may be sent: what can't be recorded must not pile up. */
  isKeepingUp(): boolean {
    if (this.#unrecorded.size >= this.#parts.maxUnrecorded) return false;
    for (const sinceMs of this.#unrecorded.values()) return this.#parts.clock.monotonicMs() - sinceMs <= this.#parts.maxWaitMs;
    return true;
  }

  /**
   * Resolves when the outcome is durable. Goes on while the store is unavailable or leaves the outcome of an append
   * unknown, with the same event id; where another process has moved the delivery meanwhile, the request is recorded as a further
   * attempt that changes nothing. Rejects when it was given up (`patience.signal`) or the store refused for good.
   */
  async record(finished: Finished): Promise<Recorded> {
    const { stream, revision: expected, transcript } = finished;
    const event = newEvent(this.#parts.ids.uuid(), finished.event, finished.metadata);
    this.#unrecorded.set(finished, this.#parts.clock.monotonicMs());
    try {
      const result = await this.#parts.transcripts.write(transcript, { stream, expected, event });
      return result instanceof Error ? await this.#insist(finished, event, result) : { revision: result.revision };
    } finally {
      this.#unrecorded.delete(finished);
    }
  }

  /** What the first append has failed with says what to do next. */
  async #insist(finished: Finished, first: NewEvent, error: Error): Promise<Recorded> {
    const { store, ids, patience } = this.#parts;
    const { stream, metadata } = finished;
    let event = first;
    let expected = finished.revision;
    let revision = await this.#appendAt(stream, expected, event, error);
    for (;;) {
      // Only at the revision of the request is it known what follows.
      if (revision !== undefined && expected === finished.revision) return { revision };
      const history = await patiently(() => store.readStream(stream), patience);
      const last = history.at(-1);
      if (last === undefined) throw new Error(`${stream} is gone`);
      const state = fold(history);
      if (state.status === 'NONE' || history.some(({ id }) => id === event.id)) return { revision: last.revision, state };
      expected = last.revision;
      // A receipt says nothing about the delivery; after anything else this request came too late to change it.
      const overtaken = history.some((other) => other.revision > finished.revision && !isLedgerEvent(other));
      if (overtaken) event = newEvent(ids.uuid(), duplicate(finished.event.data, state.attempts + 1), metadata);
      revision = await this.#appendAt(stream, expected, event);
    }
  }

  /** The event's revision, or undefined when the stream stands elsewhere. `failed`: what an append has come to already. */
  async #appendAt(stream: string, expected: number, event: NewEvent, failed?: Error): Promise<number | undefined> {
    const { store, patience } = this.#parts;
    let before = failed;
    const append = (): Promise<AppendResult> => {
      const error = before;
      before = undefined;
      return error === undefined ? store.append(stream, expected, [event]) : Promise.reject(error);
    };
    try {
      return (await patiently(append, patience)).revision;
    } catch (error) {
      if (error instanceof WrongExpectedRevision) return undefined;
      throw error;
    }
  }
}

/** The delivery as its stream says; receipts stand in it too. */
export const fold = (history: readonly RecordedEvent[]): DeliveryState =>
  history.filter((event) => !isLedgerEvent(event)).reduce<DeliveryState>((state, event) => evolveDelivery(state, stored<DeliveryEvent>(event)), initialDelivery);

function duplicate({ subscriptionId, ...outcome }: AttemptOutcome, attempt: number): DeliveryEvent {
  const { startedAt, durationMs, status, error, subscriptionRevision, secretVersionIds, transcriptSha256 } = outcome;
  const whose = subscriptionId === undefined ? {} : { subscriptionId };
  return { type: 'WebhookDeliveryDuplicateAttempted', data: { ...whose, attempt, startedAt, durationMs, status, error, subscriptionRevision, secretVersionIds, transcriptSha256 } };
}

const newEvent = (id: string, event: DeliveryEvent, metadata: Metadata): NewEvent => ({ id, type: event.type, data: JSON.stringify(event.data), metadata });
