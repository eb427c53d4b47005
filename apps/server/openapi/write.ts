// `node dist/apps/server/openapi/write.js [file]`: writes the OpenAPI document that the program serves, by default to ./openapi.yaml.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readServerConfig } from '#config';
import { createLog } from '#telemetry';
import { createServer } from '../server.ts';
import { systemClock, systemIds } from '../system.ts';

const [, , file = 'openapi.yaml'] = process.argv;
const dataDir = mkdtempSync(join(tmpdir(), 'countersign-openapi-'));
const { version } = JSON.parse(readFileSync(findPackageJSON('.', import.meta.url) ?? 'package.json', 'utf8')) as { readonly version: string };
const config = readServerConfig({ KF_PORT: '0', KF_DATA_DIR: dataDir, KF_ROLES: 'api' });
const server = await createServer({
  config,
  clock: systemClock,
  ids: systemIds,
  log: createLog('error'),
  version,
  processMetrics: false,
  onFatal: (error) => {
    throw error;
  },
});
try {
  writeFileSync(file, await server.openApi());
} finally {
  await server.close();
  rmSync(dataDir, { recursive: true });
}
