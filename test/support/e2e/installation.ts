import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ServerProcess, startServer } from '../server-process.ts';
import { Api } from './api.ts';
import { Home } from './home.ts';
import { Witness } from './witness.ts';

/** A home, a server on it, and clients of that server, all of whose answers are held against openapi.yaml. */
export class Installation {
  readonly home = new Home();
  readonly answers: { readonly asked: string; readonly text: string }[] = [];
  #server: ServerProcess | undefined;
  #witness: Witness | undefined;

  static async start(environment: Readonly<Record<string, string>> = {}): Promise<Installation> {
    const installation = new Installation();
    await installation.startServer(environment);
    return installation;
  }

  async startServer(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#server = await startServer({ dataDir: this.dataDir, environment: { ...(await this.home.environment()), ...environment } });
    this.#witness ??= await Witness.before(() => this.#server?.url);
  }

  get dataDir(): string {
    return this.home.dataDir;
  }

  get server(): ServerProcess {
    if (this.#server === undefined) throw new Error('the server does not run');
    return this.#server;
  }

  /** Where others than `root` ask, over all servers of this folder: a witness stands there. */
  get url(): string {
    if (this.#witness === undefined) throw new Error('no server has run yet');
    return this.#witness.url;
  }

  /** A client with the root key. It holds its answers against openapi.yaml itself. */
  get root(): Api {
    return new Api(this.server.url, this.server.rootKey, this.answers);
  }

  /** Everything that any server of this folder has said. */
  get log(): string {
    return readFileSync(join(this.dataDir, 'server.log'), 'utf8');
  }

  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.stop();
  }

  /** Stops the server, and removes its home. Throws when an answer was not as openapi.yaml says. */
  async end(): Promise<void> {
    await this.stop();
    await this.home.remove();
    await this.#witness?.end();
  }
}
