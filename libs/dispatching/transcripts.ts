import { attemptsListed, listOfAttempts, type TranscribedAttempt } from '#deliveries';
import { type AppendResult, type EventStore, type ExpectedRevision, maxAppendBytes, patiently, type Patience, WrongExpectedRevision } from '#event-store';
import { type Clock, formatInstant, type Ids, type NewEvent } from '#kernel';

/** A batch is written when it has so many transcripts, or so many bytes, or the first one has waited long enough. */
const batchSize = 200;
const batchBytes = maxAppendBytes - 16 * 1024;

/** A transcript, as JSON text. */
export interface TranscriptText extends TranscribedAttempt {
  readonly text: string;
}

interface Waiting {
  readonly transcript: TranscriptText;
  readonly bytes: number;
  readonly durable: () => void;
  readonly failed: (error: unknown) => void;
}

export interface TranscriptLogParts {
  readonly store: Pick<EventStore, 'append'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly waitMs: number;
  /** Asked for every batch. */
  readonly partition: () => number;
  readonly patience: Patience;
}

/**
 * Writes transcripts in batches, one append after the other, to `transcript-<yyyymmdd>.<partition>`: day and partition are those of
 * the writing. Another process may write there too. Where the stream ends is learnt from the conflict of the first append to it, without reading it.
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

  /** Resolves when the transcript is durable. Rejects when writing was given up. */
  write(transcript: TranscriptText): Promise<void> {
    return new Promise((durable, failed) => {
      const bytes = Buffer.byteLength(transcript.text) + listOfAttempts([transcript]).length + 2;
      this.#waiting.push({ transcript, bytes, durable, failed });
      this.#waitingBytes += bytes;
      this.#next();
    });
  }

  #next(): void {
    if (this.#writing || this.#waiting.length === 0) return;
    if (this.#waiting.length >= batchSize || this.#waitingBytes >= batchBytes) void this.#flush();
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
        await this.#append(batch.map(({ transcript }) => transcript));
        for (const { durable } of batch) durable();
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

  async #append(transcripts: readonly TranscriptText[]): Promise<void> {
    const { store, clock, ids, partition, patience } = this.#parts;
    const recordedat = formatInstant(clock.now());
    const metadata = { recordedat, schemaversion: '1', actortype: 'SYSTEM', actorid: 'dispatcher', [attemptsListed]: listOfAttempts(transcripts) };
    const data = `{"transcripts":[${transcripts.map(({ text }) => text).join(',')}]}`;
    const event: NewEvent = { id: ids.uuid(), type: 'WebhookTranscriptsRecorded', data, metadata };
    this.#turnTo(`transcript-${recordedat.slice(0, 10).replaceAll('-', '')}.${partition()}`);
    for (;;) {
      const [stream, expected] = [this.#stream, this.#revision];
      try {
        const { revision }: AppendResult = await patiently(() => store.append(stream, expected, [event]), patience);
        this.#revision = revision;
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
