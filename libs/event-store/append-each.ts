import type { AppendResult, EventStore, SingleAppend } from './port.ts';

/**
 * Appends of one event each, every one for itself and in no order among them: what one comes to does not touch the others.
 * Never rejects: answers for each, in their order, what `append` would have resolved or rejected with.
 */
export function appendEach(store: Pick<EventStore, 'append' | 'appendEach'>, appends: readonly SingleAppend[]): Promise<readonly (AppendResult | Error)[]> {
  if (store.appendEach !== undefined) return store.appendEach(appends);
  return Promise.all(appends.map(({ stream, expected, event }) => store.append(stream, expected, [event]).catch(errorOf)));
}

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error('it threw no error', { cause: error }));
