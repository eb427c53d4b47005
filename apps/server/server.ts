import { compose, type Outside } from './composition.ts';
import { createHttpApp } from './http-server.ts';
import { OPENAPI } from './parts.ts';

/** A running server. */
export interface Server {
  /** Where it listens: `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Where the root key is; null when it came from the environment. */
  readonly rootKeyFile: string | null;
  /** What `GET /openapi.yaml` answers. */
  openApi(): Promise<string>;
  /** Takes no more requests, finishes what is under way, writes the checkpoints, closes. Doing it twice is doing it once. */
  close(): Promise<void>;
}

/** Starts a server: when it resolves, it listens. Port 0 takes any free one. Rejects when the data folder, the keys or the port can't be had. */
export async function createServer(outside: Outside): Promise<Server> {
  const { config } = outside;
  const installation = await compose(outside);
  const app = await createHttpApp(installation.shell);
  try {
    await app.listen(config.port, config.host);
  } catch (error) {
    await installation.stop();
    throw error;
  }
  installation.start();
  const address = app.getHttpServer().address();
  const port = typeof address === 'object' && address !== null ? address.port : config.port;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    installation.announceStop();
    // A request that takes long does not keep the work from those who can do it.
    await Promise.all([app.close(), installation.standDown()]);
    await installation.stop();
  };
  return { url: `http://${host}:${port}`, rootKeyFile: installation.shell.rootKey.file, openApi: app.get<() => Promise<string>>(OPENAPI), close: () => (closing ??= close()) };
}
