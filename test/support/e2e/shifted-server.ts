import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readServerConfig } from '#config';
import { createLog } from '#telemetry';
import { createServer } from '../../../apps/server/server.ts';
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
  /** Stops it, and removes its home. Throws when an answer was not as openapi.yaml says. */
  end(): Promise<void>;
}

export async function startShiftedServer(environment: Readonly<Record<string, string>> = {}): Promise<ShiftedServer> {
  const home = new Home();
  const folder = home.dataDir;
  const clock = shiftedClock();
  const logged: string[] = [];
  const server = await createServer({
    config: readServerConfig({ KF_PORT: '0', KF_DATA_DIR: folder, KF_ALLOW_TARGETS: 'loopback', ...(await home.environment()), ...environment }),
    clock,
    ids: systemIds,
    log: createLog('info', { write: (line) => void logged.push(line) }),
    version: '0.0.0-test',
    processMetrics: false,
    onFatal: (error) => {
      throw error;
    },
  });
  const rootKey = readFileSync(join(folder, 'root.key'), 'utf8').trim();
  const root = new Api(server.url, rootKey);
  await eventually('readiness', async () => ((await root.get('/health/ready')).status === 200 ? true : undefined));
  const witness = await Witness.before(() => server.url);
  return {
    folder,
    clock,
    url: witness.url,
    rootKey,
    root,
    log: () => logged.join(''),
    end: async () => {
      await server.close();
      await home.remove();
      await witness.end();
    },
  };
}
