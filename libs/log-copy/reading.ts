import type { CopyableEventStore } from '#event-store';
import { type Category, type Position, prefixOf, type RecordedEvent, startOfLog } from '#kernel';
import { withPosition } from './position-fields.ts';
import type { Positions } from './positions.ts';

/** What a log is copied in: everything else first. Without a registered master key no server starts on a log, so none does on a half copy. */
export type Part = 'events' | 'master-key';

export const masterKeyPrefix = prefixOf('masterkey' satisfies Category);
/** Who held a role on a log says nothing on another. */
const leftOut = prefixOf('processclaim' satisfies Category);
const pageEvents = 1_000;

/** The events of one part of a log that are copied, in log order. */
export async function* eventsOf(log: Pick<CopyableEventStore, 'readAll'>, part: Part, removed: ReadonlySet<string>): AsyncGenerator<RecordedEvent> {
  const filter = part === 'master-key' ? { prefixes: [masterKeyPrefix] } : undefined;
  for (let after = startOfLog, caughtUp = false; !caughtUp; ) {
    const batch = await log.readAll(after, filter, pageEvents);
    for (const event of batch.events) if (isCopied(event, part, removed)) yield event;
    ({ position: after, caughtUp } = batch);
  }
}

/** A stream that is being removed may still have events. */
const isCopied = ({ stream }: RecordedEvent, part: Part, removed: ReadonlySet<string>): boolean =>
  !stream.startsWith(leftOut) && !removed.has(stream) && stream.startsWith(masterKeyPrefix) === (part === 'master-key');

/** A log from its start, event by event; at its end it can be asked again. */
export class LogReader {
  readonly #read: (after: Position, limit: number) => ReturnType<CopyableEventStore['readAll']>;
  #page: readonly RecordedEvent[] = [];
  #next = 0;
  #after: Position = startOfLog;

  constructor(read: (after: Position, limit: number) => ReturnType<CopyableEventStore['readAll']>) {
    this.#read = read;
  }

  async next(): Promise<RecordedEvent | undefined> {
    while (this.#next === this.#page.length) {
      const batch = await this.#read(this.#after, pageEvents);
      this.#page = batch.events;
      this.#next = 0;
      this.#after = batch.position;
      if (batch.events.length === 0 && batch.caughtUp) return undefined;
    }
    const event = this.#page[this.#next];
    this.#next += 1;
    return event;
  }
}

/**
 * What an event says, whatever log it stands in: a position in it is written as the number of events up to there. So two logs
 * that hold the same say the same.
 */
export function formOf(event: RecordedEvent, positions: Positions): string {
  const { stream, revision, id, type, metadata } = event;
  return JSON.stringify([stream, revision, id, type, dataOf(event, positions), metadata]);
}

/** What can't be read, as only something foreign or broken can be, says what it says. */
function dataOf(event: RecordedEvent, positions: Positions): string {
  try {
    return withPosition(event, (position) => String(positions.upTo(position)));
  } catch {
    return event.data;
  }
}
