import { attemptsListed } from '#deliveries';
import { type Metadata, type Position, prefixOf, type RecordedEvent, recordedatOf } from '#kernel';

/** position, revision, stream, id, type, data, recordedat, metadata of each event, one after the other: copying between threads costs by object. */
export type FlatEvents = readonly (string | number)[];

const columnsPerEvent = 8;
const published = prefixOf('event');
const transcripts = prefixOf('transcript');
/** How the types of the domain's own events in streams of deliveries begin. */
const ofDeliveries = 'WebhookDelivery';

/**
 * Events as they go to the thread. What was published, and transcripts whose attempts are listed, stay in the log: no projection reads
 * them, and a thousand events could be 256 MB. So does the metadata of what happens to deliveries, which is most of a log: there is nothing that
 * says it, so who asks for it gets no JSON.
 */
export function flatten(events: readonly RecordedEvent[]): FlatEvents {
  const flat: (string | number)[] = [];
  for (const event of events) {
    const { position, revision, stream, id, type, data, metadata } = event;
    flat.push(position, revision, stream, id, type, isUnread(event) ? '' : data, recordedatOf(event) ?? '', type.startsWith(ofDeliveries) ? '' : JSON.stringify(metadata));
  }
  return flat;
}

const isUnread = ({ stream, metadata }: RecordedEvent): boolean => stream.startsWith(published) || (stream.startsWith(transcripts) && metadata[attemptsListed] !== undefined);

/** The events again. Their metadata is parsed when it is asked for: most folds need no more of it than `recordedat`. */
export function unflattened(flat: FlatEvents): readonly RecordedEvent[] {
  const events: RecordedEvent[] = [];
  for (let start = 0; start < flat.length; start += columnsPerEvent) events.push(new FlatEvent(flat, start));
  return events;
}

class FlatEvent implements RecordedEvent {
  readonly position: Position;
  readonly revision: number;
  readonly stream: string;
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly recordedat: string;
  readonly #metadata: string;

  constructor(flat: FlatEvents, start: number) {
    this.position = flat[start] as string;
    this.revision = flat[start + 1] as number;
    this.stream = flat[start + 2] as string;
    this.id = flat[start + 3] as string;
    this.type = flat[start + 4] as string;
    this.data = flat[start + 5] as string;
    this.recordedat = flat[start + 6] as string;
    this.#metadata = flat[start + 7] as string;
  }

  get metadata(): Metadata {
    return JSON.parse(this.#metadata) as Metadata;
  }
}
