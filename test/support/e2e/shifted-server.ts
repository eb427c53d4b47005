import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readServerConfig } from '#config';
import { createLog, type Log } from '#telemetry';
import { createServer, type Server } from '../../../apps/server/server.ts';
import { systemIds } from '../../../apps/server/system.ts';
import { Api } from './api.ts';
import { eventually } from './eventually.ts';
import { Home } from './home.ts';
import { type ShiftedClock, shiftedClock } from './shifted-clock.ts';
import { Witness } from './witness.ts';

/** A whole server in this process, on a folder of its own, whose time can be moved on. */
export interface ShiftedServer {
  readonly folder: string;
  readonly clock: ShiftedClock;
  /** Where others than `root` ask: a witness stands there. */
  readonly url: string;
  readonly rootKey: string;
  /** A client with the root key. */
  readonly root: Api;
  /** Everything it has logged. */
  log(): string;
  /** Stops it, and starts another one on its folder and in its time, which is told something else. */
  restart(environment: Readonly<Record<string, string>>): Promise<void>;
  /** Stops it, and removes its home. Throws when an answer was not as openapi.yaml says. */
  end(): Promise<void>;
}

export async function startShiftedServer(environment: Readonly<Record<string, string>> = {}): Promise<ShiftedServer> {
  const home = new Home();
  const clock = shiftedClock();
  const logged: string[] = [];
  const log = createLog('info', { write: (line) => void logged.push(line) });
  let running = await startOn(home, clock, log, environment);
  const witness = await Witness.before(() => running.server.url);
  return {
    folder: home.dataDir,
    clock,
    url: witness.url,
    rootKey: running.rootKey,
    get root() {
      return running.root;
    },
    log: () => logged.join(''),
    restart: async (other) => {
      await running.server.close();
      running = await startOn(home, clock, log, other);
    },
    end: async () => {
      await running.server.close();
      await home.remove();
      await witness.end();
    },
  };
}

/** One server, once it is ready. */
async function startOn(home: Home, clock: ShiftedClock, log: Log, environment: Readonly<Record<string, string>>): Promise<{ readonly server: Server; readonly rootKey: string; readonly root: Api }> {
  const server = await createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: home.dataDir, KF_ALLOW_TARGETS: 'loopback', ...(await home.environment()), ...environment }),
    clock,
    ids: systemIds,
    log,
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
  });
  const rootKey = readFileSync(join(home.dataDir, 'root.key'), 'utf8').trim();
  const root = new Api(server.url, rootKey);
  await eventually('readiness', async () => ((await root.get('/health/ready')).status === 200 ? true : undefined));
  return { server, rootKey, root };
}
