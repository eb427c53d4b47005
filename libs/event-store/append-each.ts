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

/** Of an append, and of those that were to stand behind it. */
export interface AppendedBehind {
  readonly first: AppendResult;
  /** As `appendEach` answers. */
  readonly others: Promise<readonly (AppendResult | Error)[]>;
}

/**
 * `appends` as `appendEach` takes them, behind one that all of them need: none of them is durable without it. Resolves when it is; on
 * an engine that makes appends durable together they are then, too. Rejects as `append` of `first` does. May be repeated as `append` may.
 */
export async function appendBehind(store: Pick<EventStore, 'append' | 'appendEach' | 'appendInTurn'>, first: SingleAppend, appends: readonly SingleAppend[]): Promise<AppendedBehind> {
  if (store.appendInTurn === undefined) return { first: await store.append(first.stream, first.expected, [first.event]), others: appendEach(store, appends) };
  const [result, ...others] = await store.appendInTurn([first, ...appends].map(({ stream, expected, event }) => ({ stream, expected, events: [event] })));
  if (result === undefined || result instanceof Error) throw result ?? new Error('the store answered nothing');
  // What stands behind a refused one was not tried.
  const untried = appends.slice(others.length);
  return { first: result, others: untried.length === 0 ? Promise.resolve(others) : appendEach(store, untried).then((ends) => [...others, ...ends]) };
}

const errorOf = (error: unknown): Error => (error instanceof Error ? error : new Error('it threw no error', { cause: error }));
