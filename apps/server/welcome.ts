import { relative, resolve } from 'node:path';
import type { ServerConfig } from '#config';

interface Facts {
  readonly url: string;
  readonly rootKeyFile: string | null;
  readonly version: string;
  /** Started from a checkout, where npm is; else from an image, which has `kf` by itself. */
  readonly isCheckout: boolean;
  readonly config: Pick<ServerConfig, 'dataDir' | 'roles' | 'allowTargets' | 'port'>;
}

/** What a person sees first: where it listens, where the root key is (never the key), and what to try. */
export function welcome(facts: Facts): string {
  const { url, rootKeyFile, version, isCheckout, config } = facts;
  const kf = `${isCheckout ? checkoutKf(facts) : 'kf'}${config.port === 8080 ? '' : ` --server ${url}`}`;
  return [
    `Countersign ${version} listens on ${url}`,
    `  roles     ${config.roles.join(', ')}`,
    `  data      ${config.dataDir}`,
    `  root key  ${rootKeyFile === null ? 'from KF_ROOT_KEY' : shorter(rootKeyFile)}`,
    '',
    isCheckout ? 'Try, in another terminal:' : 'Try, in this container (docker exec):',
    `  ${kf} whoami`,
    `  ${kf} webhook create --site acme --url https://example.com/hook --events 'version.*'`,
    `  ${kf} event publish --tenant acme --actor-type USER --actor-id me --type version.published --data '{"version":"1.0.0"}'`,
    `  ${kf} deliveries --site acme`,
    ...(isCheckout ? ['  npm run demo'] : []),
    ...(config.allowTargets.length === 0 ? ['', 'Deliveries go to public https addresses only; for receivers on this machine start with KF_ALLOW_TARGETS=loopback.'] : []),
    '',
    '',
  ].join('\n');
}

/** In a container it has the server's own environment; elsewhere it is told where the CLI does not look for the root key by itself. */
function checkoutKf({ rootKeyFile, config }: Facts): string {
  const isFound = rootKeyFile === null || config.dataDir === resolve('data');
  return isFound ? 'npx kf' : `KF_DATA_DIR=${quoted(shorter(config.dataDir))} npx kf`;
}

const shorter = (path: string): string => {
  const here = relative('', path);
  return here.startsWith('..') ? path : here || '.';
};

const quoted = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`);
