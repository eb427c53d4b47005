import { prefixOf, type Projection, recordedAtMsOf, type RecordedEvent, stored, type Table } from '#kernel';
import { attemptsListed, readAttempts, type TranscribedAttempt, type TranscriptsRecorded } from './transcript.ts';

/** Where the transcript of an attempt stands: the `ordinal`-th of the event's `transcripts`. */
export interface TranscriptRow {
  readonly deliveryId: string;
  readonly attempt: number;
  readonly stream: string;
  readonly revision: number;
  readonly ordinal: number;
  readonly recordedAtMs: number;
}

export const transcriptTable: Table<TranscriptRow> = {
  name: 'transcripts',
  columns: { deliveryId: 'text', attempt: 'integer', stream: 'text', revision: 'integer', ordinal: 'integer', recordedAtMs: 'integer' },
  key: ['deliveryId', 'attempt', 'stream', 'revision', 'ordinal'],
  historyBy: 'recordedAtMs',
};

const transcriptsRecorded: TranscriptsRecorded['type'] = 'WebhookTranscriptsRecorded';

/** Where to find the transcripts of a delivery. Their text stays in the log, whose days are dropped whole. */
export const transcriptProjection: Projection = {
  name: 'transcripts',
  version: 1,
  prefixes: [prefixOf('transcript')],
  tables: [transcriptTable],
  apply(event, rows) {
    if (event.type !== transcriptsRecorded) throw new TypeError(`${event.type} at ${event.position} is no event of ${event.stream}`);
    const { stream, revision } = event;
    const recordedAtMs = recordedAtMsOf(event);
    transcribed(event).forEach(({ deliveryId, attempt }, ordinal) => {
      rows.put(transcriptTable, { deliveryId, attempt, stream, revision, ordinal, recordedAtMs });
    });
  },
};

function transcribed(event: RecordedEvent): readonly TranscribedAttempt[] {
  const list = event.metadata[attemptsListed];
  return list === undefined ? stored<TranscriptsRecorded>(event).data.transcripts : readAttempts(list);
}
