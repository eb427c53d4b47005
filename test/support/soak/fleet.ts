import { mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ServerProcess, startServer } from '../server-process.ts';

/** One process, from its start to its end. */
export interface Life {
  readonly server: number;
  readonly fromMs: number;
  /** When it was killed with `kill -9`; null while it lives, or when it was asked to stop. */
  killedAtMs: number | null;
  /** When it stood still. */
  readonly suspensions: { readonly fromMs: number; toMs: number }[];
  readonly portsFile: string;
}

/** What a process of the fleet is told of the others. */
export interface FleetMember {
  readonly server: number;
  readonly url: string;
}

interface Running {
  readonly process: ServerProcess;
  readonly life: Life;
  isExpectedToEnd: boolean;
}

const mostStarts = 6;

const preload = new URL(import.meta.url.endsWith('.ts') ? './sender-ports.ts' : './sender-ports.js', import.meta.url);

/** Server processes on one log, each with a data folder of its own, that can be killed, stopped, suspended and started again. */
export class Fleet {
  readonly lives: Life[] = [];
  /** Processes that ended although nobody asked them to, in words. */
  readonly endedByThemselves: string[] = [];
  /** Starts that came to nothing. */
  vainStarts = 0;
  readonly folder = mkdtempSync(join(tmpdir(), 'countersign-fleet-'));
  readonly #environment: Readonly<Record<string, string>>;
  readonly #onUp: (member: FleetMember) => void;
  readonly #onDown: (server: number) => void;
  readonly #running = new Map<number, Running>();
  readonly #folders = new Map<number, string>();

  constructor(environment: Readonly<Record<string, string>>, { onUp, onDown }: { readonly onUp: (member: FleetMember) => void; readonly onDown: (server: number) => void }) {
    this.#environment = environment;
    this.#onUp = onUp;
    this.#onDown = onDown;
  }

  /** The processes that run. */
  get members(): readonly FleetMember[] {
    return [...this.#running].map(([server, { process }]) => ({ server, url: process.url }));
  }

  /**
   * Starts a server and waits until it listens: it need not be ready. One that ends because it finds no store is started again, as
   * whoever keeps processes running would.
   */
  async start(server: number, { emptyFolder = false }: { readonly emptyFolder?: boolean } = {}): Promise<void> {
    const dataDir = this.#folderOf(server, emptyFolder);
    for (let tries = 1; !(await this.#begin(server, dataDir)); tries += 1) {
      if (tries === mostStarts) throw new Error(`server ${server} did not start ${mostStarts} times: ${dataDir}/server.log`);
      this.vainStarts += 1;
    }
  }

  async #begin(server: number, dataDir: string): Promise<boolean> {
    const portsFile = join(this.folder, `ports-${this.lives.length}`);
    const life: Life = { server, fromMs: Date.now(), killedAtMs: null, suspensions: [], portsFile };
    this.lives.push(life);
    const environment = { ...this.#environment, SENDER_PORTS: portsFile };
    const process = await startServer({ dataDir, environment, nodeArguments: ['--import', fileURLToPath(preload)], until: 'listening' }).catch(() => undefined);
    if (process === undefined) {
      life.killedAtMs = Date.now();
      return false;
    }
    const running: Running = { process, life, isExpectedToEnd: false };
    this.#running.set(server, running);
    void process.ended.then(() => {
      if (!running.isExpectedToEnd) this.endedByThemselves.push(`server ${server} ended by itself: ${dataDir}/server.log`);
    });
    this.#onUp({ server, url: process.url });
    return true;
  }

  async kill(server: number): Promise<void> {
    const { process, life } = this.#end(server);
    life.killedAtMs = Date.now();
    await process.kill();
    this.#onDown(server);
  }

  /** SIGTERM, until it has ended. */
  async stop(server: number): Promise<void> {
    const { process } = this.#end(server);
    await process.stop();
    this.#onDown(server);
  }

  suspend(server: number): void {
    const { process: suspended, life } = this.#of(server);
    life.suspensions.push({ fromMs: Date.now(), toMs: Infinity });
    process.kill(suspended.pid, 'SIGSTOP');
  }

  /** Where it was killed meanwhile, nothing goes on. */
  resume(server: number): void {
    const running = this.#running.get(server);
    const last = running?.life.suspensions.at(-1);
    if (running === undefined || last === undefined) return;
    process.kill(running.process.pid, 'SIGCONT');
    last.toMs = Date.now();
  }

  isRunning(server: number): boolean {
    return this.#running.has(server);
  }

  /** Everything that any of them has said, a line each. */
  said(): readonly string[] {
    return readdirSync(this.folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap(({ name }) => readFileSync(join(this.folder, name, 'server.log'), 'utf8').split('\n'));
  }

  /** The ports that a life has sent from, and since when. */
  portsOf({ portsFile }: Life): readonly { readonly port: number; readonly sinceMs: number }[] {
    return readFileSync(portsFile, 'utf8').split('\n').slice(0, -1).map((line) => {
      const [port = 0, sinceMs = 0] = line.split(' ').map(Number);
      return { port, sinceMs };
    });
  }

  /** Ends what runs. */
  async end(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((server) => this.kill(server)));
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  #of(server: number): Running {
    const running = this.#running.get(server);
    if (running === undefined) throw new Error(`server ${server} does not run`);
    return running;
  }

  #end(server: number): Running {
    const running = this.#of(server);
    running.isExpectedToEnd = true;
    this.#running.delete(server);
    return running;
  }

  #folderOf(server: number, anew: boolean): string {
    const known = this.#folders.get(server);
    if (known !== undefined && !anew) return known;
    const folder = join(this.folder, `server-${server}-${this.lives.length}`);
    mkdirSync(folder);
    this.#folders.set(server, folder);
    return folder;
  }
}
