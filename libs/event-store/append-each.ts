import type { Append, AppendResult, EventStore, SingleAppend } from './port.ts';

/**
 * Appends of one event each, every one for itself and in no order among them: what one comes to does not touch the others.
 * Never rejects: answers for each, in their order, what `append` would have resolved or rejected with.
 */
export function appendEach(store: Pick<EventStore, 'append' | 'appendEach'>, appends: readonly SingleAppend[]): Promise<readonly (AppendResult | Error)[]> {
  if (store.appendEach !== undefined) return store.appendEach(appends);
  return Promise.all(appends.map(({ stream, expected, event }) => store.append(stream, expected, [event]).catch(errorOf)));
}

/**
 * Appends one after the other, each only when the one before it has been written, or had been: a process that dies leaves some of the
 * first of them. Never rejects: answers, in their order, what `append` would have resolved or rejected with; nothing follows an error.
 */
export async function appendInTurn(store: Pick<EventStore, 'append' | 'appendInTurn'>, appends: readonly Append[]): Promise<readonly (AppendResult | Error)[]> {
  if (store.appendInTurn !== undefined) return await store.appendInTurn(appends);
  const results: (AppendResult | Error)[] = [];
  for (const { stream, expected, events } of appends) {
    const result = await store.append(stream, expected, events).catch(errorOf);
    results.push(result);
    if (result instanceof Error) return results;
  }
  return results;
}

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error('it threw no error', { cause: error }));
