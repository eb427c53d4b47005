import { attemptsListed, listOfAttempts, type TranscribedAttempt } from '#deliveries';
import { appendBehind, type AppendResult, type EventStore, type ExpectedRevision, maxAppendBytes, patiently, type Patience, type SingleAppend, WrongExpectedRevision } from '#event-store';
import { type Clock, formatInstant, type Ids, type NewEvent } from '#kernel';

/** A batch is written when it has so many transcripts, or so many bytes, or the first one has waited long enough, or there is nothing to wait for. */
const batchSize = 200;
const batchBytes = maxAppendBytes - 16 * 1024;

/** A transcript, as JSON text. */
export interface TranscriptText extends TranscribedAttempt {
  readonly text: string;
}

interface Waiting {
  readonly transcript: TranscriptText;
  readonly outcome: SingleAppend;
  readonly bytes: number;
  readonly ended: (outcome: AppendResult | Error) => void;
  readonly failed: (error: unknown) => void;
}

export interface TranscriptLogParts {
  readonly store: Pick<EventStore, 'append' | 'appendEach' | 'appendInTurn'>;
  readonly clock: Clock;
  readonly ids: Ids;
  /** How long the first of a batch waits for others, while requests are under way that may bring some. */
  readonly waitMs: number;
  readonly underWay: () => number;
  /** Asked for every batch. */
  readonly partition: () => number;
  readonly patience: Patience;
}

/**
 * Writes transcripts in batches, one append after the other, to `transcript-<yyyymmdd>.<partition>`: day and partition are those of
 * the writing; and behind each batch the outcomes that name its transcripts. Another process may write there too. Where the stream
 * ends is learnt from the conflict of the first append to it, without reading it.
 */
export class TranscriptLog {
  readonly #parts: TranscriptLogParts;
  #stream = '';
  #revision: ExpectedRevision = 'NO_STREAM';
  #waiting: Waiting[] = [];
  #waitingBytes = 0;
  #writing = false;
  #timerRuns = false;

  constructor(parts: TranscriptLogParts) {
    this.#parts = parts;
  }

  /** Resolves when the transcript is durable, with what the append of its outcome behind it has come to. Rejects when writing was given up. */
  write(transcript: TranscriptText, outcome: SingleAppend): Promise<AppendResult | Error> {
    return new Promise((ended, failed) => {
      const bytes = Buffer.byteLength(transcript.text) + listOfAttempts([transcript]).length + 2;
      this.#waiting.push({ transcript, outcome, bytes, ended, failed });
      this.#waitingBytes += bytes;
      this.#next();
    });
  }

  #next(): void {
    if (this.#writing || this.#waiting.length === 0) return;
    const isFull = this.#waiting.length >= batchSize || this.#waitingBytes >= batchBytes;
    if (isFull || this.#parts.underWay() === 0) void this.#flush();
    else if (!this.#timerRuns) {
      this.#timerRuns = true;
      this.#parts.clock.after(this.#parts.waitMs, () => {
        this.#timerRuns = false;
        if (!this.#writing && this.#waiting.length > 0) void this.#flush();
      });
    }
  }

  /** While one batch is written the next one gathers, and goes as soon as this one is done. */
  async #flush(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#takeBatch();
      try {
        await this.#append(batch);
      } catch (error) {
        for (const { failed } of batch) failed(error);
      }
    }
    this.#writing = false;
  }

  #takeBatch(): readonly Waiting[] {
    let bytes = 0;
    let count = 0;
    for (const item of this.#waiting) {
      if (count === batchSize || (count > 0 && bytes + item.bytes > batchBytes)) break;
      bytes += item.bytes;
      count += 1;
    }
    this.#waitingBytes -= bytes;
    return this.#waiting.splice(0, count);
  }

  /** The next batch does not wait for what stands behind this one. */
  async #append(batch: readonly Waiting[]): Promise<void> {
    const transcripts = batch.map(({ transcript }) => transcript);
    const outcomes = batch.map(({ outcome }) => outcome);
    const { store, clock, ids, partition, patience } = this.#parts;
    const recordedat = formatInstant(clock.now());
    const metadata = { recordedat, schemaversion: '1', actortype: 'SYSTEM', actorid: 'dispatcher', [attemptsListed]: listOfAttempts(transcripts) };
    const data = `{"transcripts":[${transcripts.map(({ text }) => text).join(',')}]}`;
    const event: NewEvent = { id: ids.uuid(), type: 'WebhookTranscriptsRecorded', data, metadata };
    this.#turnTo(`transcript-${recordedat.slice(0, 10).replaceAll('-', '')}.${partition()}`);
    for (;;) {
      const [stream, expected] = [this.#stream, this.#revision];
      try {
        const { first, others } = await patiently(() => appendBehind(store, { stream, expected, event }, outcomes), patience);
        this.#revision = first.revision;
        void others.then((ends) => batch.forEach(({ ended }, index) => ended(ends[index] ?? new Error('the store answered nothing'))));
        return;
      } catch (error) {
        if (!(error instanceof WrongExpectedRevision)) throw error;
        this.#revision = error.actual;
      }
    }
  }

  #turnTo(stream: string): void {
    if (stream === this.#stream) return;
    this.#stream = stream;
    this.#revision = 'NO_STREAM';
  }
}
