import { type CopyableEventStore, type EventBatch, type EventStore, WrongExpectedRevision } from '#event-store';
import { type Position, type RecordedEvent, startOfLog } from '#kernel';

/**
 * A log that outlives the test, as if it were empty: streams get names of their own, and the log begins where it ended. So the
 * contract can be run against a server with other people's events in it, as often as one likes.
 */
export function ownPartOf(store: CopyableEventStore, run: string, start: Position): CopyableEventStore {
  const named = (stream: string): string => stream.replace('-', `-${run}.`);
  const mark = `-${run}.`;
  const unnamed = (stream: string): string => stream.replace(mark, '-');
  const into = (position: Position): Position => (position === startOfLog ? start : position);
  const outOf = (position: Position): Position => (position === start ? startOfLog : position);
  const events = (read: readonly RecordedEvent[]): RecordedEvent[] => read.filter(({ stream }) => stream.includes(mark)).map((event) => ({ ...event, stream: unnamed(event.stream) }));
  const batch = (read: EventBatch): EventBatch => ({ ...read, events: events(read.events), position: outOf(read.position) });
  const filterOf = (filter: Parameters<EventStore['readAll']>[1]): typeof filter => filter && { prefixes: filter.prefixes.map(named) };
  return {
    async append(stream, expected, appended) {
      try {
        return await store.append(named(stream), expected, appended);
      } catch (error) {
        if (error instanceof WrongExpectedRevision) throw new WrongExpectedRevision(stream, error.expected, error.actual);
        throw error;
      }
    },
    readStream: async (stream, from, limit) => events(await store.readStream(named(stream), from, limit)),
    readAll: async (after, filter, limit) => batch(await store.readAll(into(after), filterOf(filter), limit)),
    async *subscribe(after, filter, signal) {
      for await (const read of store.subscribe(into(after), filterOf(filter), signal)) yield batch(read);
    },
    tombstone: (stream) => store.tombstone(named(stream)),
    removals: async () => (await store.removals()).filter((stream) => stream.includes(mark)).map(unnamed),
    head: async () => outOf(await store.head()),
    close: () => store.close(),
  };
}
