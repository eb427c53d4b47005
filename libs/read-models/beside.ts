import type { EventStore } from '#event-store';
import type { Position } from '#kernel';
import { removeModel, type Standing } from './model-file.ts';
import { ModelThread } from './model-thread.ts';
import { lowest, type Projector } from './projector.ts';
import { logFrom, readAhead } from './read-ahead.ts';

export interface BesideParts {
  readonly store: EventStore;
  readonly projector: Projector;
  readonly livePath: string;
  /** The new file, which is there only while it is built. */
  readonly path: string;
  /** The projections that are built anew; the others are copied. */
  readonly names: readonly string[];
  readonly historyDays: number;
  readonly signal: AbortSignal;
}

/**
 * Builds projections anew in a file beside the live one, which goes on serving, and puts it in its place when it has
 * caught up. Rejects, and leaves the live file as it is, when the signal aborts or a projection can't fold an event.
 */
export async function buildBeside(parts: BesideParts): Promise<void> {
  const { projector, livePath, path, names, historyDays, signal } = parts;
  const thread = new ModelThread();
  let done = false;
  try {
    const days = Object.fromEntries(projector.standings.map(({ name, day }) => [name, day]));
    const copied = await thread.ask('openBeside', { livePath, path, without: names, historyDays, days });
    let standings = await catchUp(parts, thread, copied.standings, undefined);
    await projector.takeOver(path, thread, async (position) => {
      standings = await catchUp(parts, thread, standings, position);
      // While the live file still serves: what can't be written must not take its place.
      await thread.ask('write', null);
      signal.throwIfAborted();
    });
    done = true;
  } finally {
    if (!done) {
      await thread.end();
      removeModel(path);
    }
  }
}

/** Folds up to a position, or up to the head. */
async function catchUp({ store, names, signal }: BesideParts, thread: ModelThread, standings: readonly Standing[], upTo: Position | undefined): Promise<readonly Standing[]> {
  let now = standings;
  const from = lowest(now);
  if (from === undefined) return now;
  signal.throwIfAborted();
  for await (const batch of readAhead(logFrom(store, from, upTo))) {
    signal.throwIfAborted();
    now = await thread.fold(batch.events, batch.position);
    refusePoison(now, names);
  }
  return now;
}

/** A projection that stops on the way would only take the place of one that serves. */
function refusePoison(standings: readonly Standing[], names: readonly string[]): void {
  for (const { name, poison } of standings) {
    if (poison !== null && names.includes(name)) throw new Error(`${name} can't fold event ${poison.eventId} at ${poison.position}: ${poison.error}`);
  }
}
