import type { ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { comparePositions, type Position, type RecordedEvent } from '#kernel';
import type { EventBatch } from '../port.ts';
import { type LogRecord, recordOf } from './envelope.ts';

/** What one batch holds. */
const mostBytes = 4 * 1024 * 1024;
const mostEvents = 1_000;

/**
 * The batches of a filtered subscription, until it has caught up or is `near` enough. The server's messages are taken in their
 * order and at the reader's pace, so a checkpoint never stands before an event that was not handed over.
 */
export async function* catchUp(
  messages: AsyncIterable<ReadResp>,
  after: Position,
  shows: (record: LogRecord) => boolean,
  near: (position: Position) => boolean,
): AsyncGenerator<EventBatch> {
  let batch = new Gathering(after);
  for await (const message of messages) {
    batch.take(message, shows);
    if (batch.full || (batch.moved && message.hasCheckpoint())) {
      yield batch.close();
      batch = new Gathering(batch.position);
    }
    if (message.hasCaughtUp() || near(batch.position)) break;
  }
  if (batch.moved) yield batch.close();
}

/** A checkpoint whose prepare is smaller than its commit stands before the record that begins there, or will: that one was not seen. */
function seenUpTo(checkpoint: ReadResp.Checkpoint | undefined): Position | undefined {
  const commit = checkpoint?.getCommitPosition();
  if (commit === undefined || commit === checkpoint?.getPreparePosition()) return commit;
  return String(BigInt(commit) - 1n);
}

class Gathering {
  readonly #events: RecordedEvent[] = [];
  #bytes = 0;
  moved = false;
  position: Position;

  constructor(after: Position) {
    this.position = after;
  }

  take(message: ReadResp, shows: (record: LogRecord) => boolean): void {
    const record = recordOf(message);
    const position = record?.position ?? seenUpTo(message.getCheckpoint());
    if (position === undefined || comparePositions(position, this.position) <= 0) return;
    this.position = position;
    this.moved = true;
    if (record === undefined || !shows(record)) return;
    this.#events.push(record.read());
    this.#bytes += record.bytes;
  }

  get full(): boolean {
    return this.#events.length >= mostEvents || this.#bytes >= mostBytes;
  }

  close(): EventBatch {
    return { events: this.#events, position: this.position, caughtUp: false };
  }
}
