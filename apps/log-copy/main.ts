// The program behind `kf log copy <data-dir>`: kf is a client of the HTTP API and reaches no store. It talks to kf in lines of JSON
// on stdout, and has no flags: the folder is its one argument, the target stands in KF_EVENT_STORE.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError, readCopyTarget } from '#config';
import { type CopyableEventStore, patiently, StoreUnavailable } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { DataDirInUse, NewerLog, openSqliteEventStore } from '#event-store/sqlite';
import { type Clock, type Secret } from '#kernel';
import { copyLog, type CopyProgress, ForeignTarget, NothingToCopy } from '#log-copy';

const clock: Clock = {
  now: Date.now,
  monotonicMs: () => performance.now(),
  after: (delayMs, wake) => {
    const timer = setTimeout(wake, delayMs);
    return () => clearTimeout(timer);
  },
};
/** A store that comes up together with this program gets so long. */
const targetWithinMs = 30_000;
const tellEveryMs = 100;

/** Nothing was read and nothing was written, because what was typed or set is not as it must be. */
class Refused extends Error {
  override readonly name = 'Refused';
}

async function main(dataDir: string): Promise<0 | 1 | 2> {
  try {
    return await copy(dataDir);
  } catch (error) {
    const usage = error instanceof Refused || error instanceof ConfigError;
    if (!(usage || isExpected(error))) throw error;
    say('failed', { usage, issues: error instanceof ConfigError ? error.problems : [error.message] });
    return usage ? 2 : 1;
  }
}

const isExpected = (error: unknown): error is Error =>
  [StoreUnavailable, ForeignTarget, NothingToCopy, NewerLog, DataDirInUse, TypeError].some((kind) => error instanceof kind);

async function copy(dataDir: string): Promise<0 | 1> {
  const connectionString = readCopyTarget();
  const source = await openSource(dataDir);
  const opened: CopyableEventStore[] = [source];
  try {
    const target = await openTarget(connectionString);
    opened.push(target);
    const report = await copyLog({ source, target, clock, onProgress: teller(), onTrouble });
    say('result', { from: dataDir, position: await source.head(), targetPosition: await target.head(), ...report });
    return report.equal ? 0 : 1;
  } finally {
    for (const store of opened.reverse()) await store.close();
  }
}

/** Holds the folder's lock from here on: no server runs on it, and none can start. A folder without a log is not made one. */
async function openSource(dataDir: string): Promise<CopyableEventStore> {
  if (!existsSync(join(dataDir, 'events.db'))) throw new Refused(`--from: there is no events.db in ${dataDir}: give the data folder of a server (its KF_DATA_DIR)`);
  try {
    return await openSqliteEventStore({ dataDir });
  } catch (error) {
    if (error instanceof DataDirInUse) throw new StoreUnavailable(`the data folder ${dataDir} is in use by another process: stop the server on it first, and start it no more when the copy is complete`, { cause: error });
    throw error;
  }
}

async function openTarget(connectionString: Secret): Promise<CopyableEventStore> {
  const late = new AbortController();
  const cancel = clock.after(targetWithinMs, () => late.abort(new StoreUnavailable(`the event store of KF_EVENT_STORE has not answered for ${targetWithinMs / 1_000} s`)));
  try {
    return await patiently(() => openEventStoreDb({ connectionString, clock, onTrouble }), { clock, signal: late.signal, onTrouble });
  } catch (error) {
    // The string is not one that can be used; the message has nothing of its password.
    throw error instanceof TypeError ? new Refused(`KF_EVENT_STORE: ${error.message}`) : error;
  } finally {
    cancel();
  }
}

function onTrouble({ message }: Error): void {
  say('trouble', { detail: message });
}

function teller(): (progress: CopyProgress) => void {
  let toldMs = -Infinity;
  return (progress) => {
    if (clock.monotonicMs() - toldMs < tellEveryMs) return;
    toldMs = clock.monotonicMs();
    say('progress', progress);
  };
}

function say(event: string, data: object): void {
  process.stdout.write(`${JSON.stringify({ event, data })}\n`);
}

// Whoever reads has gone, and with it whoever could say what came of it.
process.stdout.on('error', () => process.exit(1));

process.exitCode = await main(process.argv[2] ?? '');
