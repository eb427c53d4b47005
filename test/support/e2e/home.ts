import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventStore } from '#event-store';
import { openEventStoreDb } from '#event-store/eventstoredb';
import { openSqliteEventStore } from '#event-store/sqlite';
import { type RecordedEvent, Secret } from '#kernel';
import { startOwnPart } from '../eventstoredb/own-part.ts';
import { startEventStoreDb } from '../eventstoredb/server.ts';
import { systemClock } from '../webhook-receivers.ts';
import { wholeLog } from './stored-log.ts';

/** Which engine keeps the logs of the servers that these tests start: a project of jest.config.mjs chooses it. */
export const engine = (globalThis as { readonly engineOfServers?: 'eventstoredb' }).engineOfServers ?? 'sqlite';

/** An EventStoreDB in which one installation alone has its log. */
interface OwnStore {
  readonly url: string;
  readonly masterKey: Secret;
  readonly rootKey: string;
  stop(): Promise<void>;
}

/** The test server; with `ESDB_URL` a part of that server's log. */
async function startOwnStore(): Promise<OwnStore> {
  const shared = process.env['ESDB_URL'] ?? '';
  const store = await (shared === '' ? startEventStoreDb() : startOwnPart(new Secret(shared)));
  return { url: store.url, stop: () => store.stop(), masterKey: new Secret(randomBytes(32).toString('base64')), rootKey: `root-${randomBytes(24).toString('hex')}` };
}

/** What outlives the processes of an installation: a data folder, and a log, in that folder or in a store of its own. */
export class Home {
  readonly dataDir: string;
  #store: Promise<OwnStore> | undefined;

  /** Makes a folder of its own, unless it is given one. */
  constructor(dataDir = mkdtempSync(join(tmpdir(), 'countersign-e2e-'))) {
    this.dataDir = dataDir;
  }

  /** What a server on it has to be told. */
  async environment(): Promise<Readonly<Record<string, string>>> {
    const store = await this.#ownStore();
    if (store === undefined) return {};
    return { KF_EVENT_STORE: store.url, KF_MASTER_KEY: store.masterKey.reveal(), KF_ROOT_KEY: store.rootKey };
  }

  /** The master key of its servers, of which one has run. */
  async masterKey(): Promise<Secret> {
    return (await this.#ownStore())?.masterKey ?? new Secret(readFileSync(join(this.dataDir, 'master.key'), 'utf8').trim());
  }

  /** Opens its log; while a server runs on it, only where it is not in the folder. */
  async openLog(): Promise<EventStore> {
    const store = await this.#ownStore();
    return store === undefined ? await openSqliteEventStore({ dataDir: this.dataDir }) : await openEventStoreDb({ connectionString: new Secret(store.url), clock: systemClock });
  }

  /** Everything in its log. */
  async readLog(): Promise<readonly RecordedEvent[]> {
    const store = await this.openLog();
    try {
      return await wholeLog(store);
    } finally {
      await store.close();
    }
  }

  /** The events of a log that is not in the folder, in text by name; a server may run on it. */
  async readLogBeside(): Promise<Readonly<Record<string, string>>> {
    if (engine === 'sqlite') return {};
    return Object.fromEntries((await this.readLog()).map((event) => [`event ${event.position} of the log`, JSON.stringify(event)]));
  }

  /** Once no server runs on it. */
  async remove(): Promise<void> {
    rmSync(this.dataDir, { recursive: true, force: true });
    await (await this.#store)?.stop();
  }

  #ownStore(): Promise<OwnStore | undefined> {
    if (engine === 'sqlite') return Promise.resolve(undefined);
    this.#store ??= startOwnStore().then((store) => {
      // Where `kf` looks for it: a server that is told its root key makes no such file.
      mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
      writeFileSync(join(this.dataDir, 'root.key'), `${store.rootKey}\n`, { mode: 0o600 });
      return store;
    });
    return this.#store;
  }
}
