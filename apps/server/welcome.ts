import { relative, resolve } from 'node:path';
import type { ServerConfig } from '#config';

interface Facts {
  readonly url: string;
  readonly rootKeyFile: string | null;
  readonly version: string;
  readonly config: Pick<ServerConfig, 'dataDir' | 'roles' | 'allowTargets' | 'port'>;
}

/** What a person sees first: where it listens, where the root key is (never the key), and what to try. */
export function welcome({ url, rootKeyFile, version, config }: Facts): string {
  // Where the CLI looks for the root key by itself.
  const elsewhere = rootKeyFile === null || config.dataDir === resolve('data') ? '' : `KF_DATA_DIR=${quoted(shorter(config.dataDir))} `;
  const kf = `${elsewhere}npx kf${config.port === 8080 ? '' : ` --server ${url}`}`;
  return [
    `Countersign ${version} listens on ${url}`,
    `  roles     ${config.roles.join(', ')}`,
    `  data      ${config.dataDir}`,
    `  root key  ${rootKeyFile === null ? 'from KF_ROOT_KEY' : shorter(rootKeyFile)}`,
    '',
    'Try, in another terminal:',
    `  ${kf} whoami`,
    `  ${kf} webhook create --site acme --url https://example.com/hook --events 'version.*'`,
    `  ${kf} event publish --tenant acme --actor-type USER --actor-id me --type version.published --data '{"version":"1.0.0"}'`,
    `  ${kf} deliveries --site acme`,
    '  npm run demo',
    ...(config.allowTargets.length === 0 ? ['', 'Deliveries go to public https addresses only; for receivers on this machine start with KF_ALLOW_TARGETS=loopback.'] : []),
    '',
    '',
  ].join('\n');
}

const shorter = (path: string): string => {
  const here = relative('', path);
  return here.startsWith('..') ? path : here || '.';
};

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
