import { mkdtempSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { readCliEnvironment } from '#config/cli';
import { CommandBody, commandPayloads, isCommandType, readDto } from '#contracts';
import type { Clock } from '#kernel';
import type { Io } from '../../apps/cli/io.ts';
import { run } from '../../apps/cli/run.ts';

/** A request as it came. */
export interface Recorded {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** What the server answers once; `text` instead of `body` for exact bytes. */
export interface Scripted {
  readonly status?: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Never answers: the connection is dropped instead. */
  readonly drops?: true;
  /** Never answers at all. */
  readonly hangs?: true;
}

/** A server that keeps to the outside contract as far as a client sees it: records every request, refuses bodies the real one would refuse. */
export interface FakeApi {
  readonly url: string;
  readonly requests: readonly Recorded[];
  /** Answers the next request to `METHOD /path` with this, and the one after it with the next. */
  answers(route: string, ...scripted: readonly Scripted[]): void;
  close(): Promise<void>;
}

export async function startFakeApi(): Promise<FakeApi> {
  const requests: Recorded[] = [];
  const scripts = new Map<string, Scripted[]>();
  const server: Server = createServer((incoming, outgoing) => void take(incoming).then((request) => {
    requests.push(request);
    const route = `${request.method} ${request.url.split('?')[0] ?? ''}`;
    reply(outgoing, scripts.get(route)?.shift() ?? usual(request));
  }));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answers: (route, ...scripted) => void scripts.set(route, [...(scripts.get(route) ?? []), ...scripted]),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function take(incoming: IncomingMessage): Promise<Recorded> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString('utf8');
  const body = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, text, body };
}

function reply(outgoing: ServerResponse, { status = 200, body = {}, text, headers = {}, drops, hangs }: Scripted): void {
  if (hangs === true) return;
  if (drops === true) return void outgoing.destroy();
  outgoing.writeHead(status, { 'content-type': status < 400 ? 'application/json' : 'application/problem+json', ...headers });
  outgoing.end(text ?? JSON.stringify(body));
}

/** A problem as the server answers it. */
export const problem = (slug: string, status: number, members: object = {}, headers: Readonly<Record<string, string>> = {}): Scripted => ({
  status,
  headers,
  body: { type: `https://countersign.dev/problems/${slug}`, title: `Title of ${slug}`, status, detail: `Detail of ${slug}.`, instance: '/here', correlationId: 'cor_1', ...members },
});

function usual({ method, url, body, headers }: Recorded): Scripted {
  const commandType = /^\/api\/commands\/([A-Za-z]+)$/.exec(url)?.[1];
  if (method !== 'POST' || commandType === undefined) return problem('not-found', 404);
  const errors = commandErrors(commandType, body);
  if (errors.length > 0 || headers['idempotency-key'] === undefined) return problem('validation-failed', 400, { errors });
  return { body: applied(commandType, 'res_1') };
}

/** What the real server would find wrong with the body of a command. */
function commandErrors(commandType: string, body: unknown): readonly object[] {
  const envelope = readDto(CommandBody, body);
  if ('errors' in envelope) return envelope.errors;
  if (!isCommandType(commandType)) return [{ path: 'commandType', message: 'is unknown' }];
  const payload = readDto<object>(commandPayloads[commandType], envelope.value.payload, 'payload');
  return 'errors' in payload ? payload.errors : [];
}

/** The answer to a command that took effect. */
export const applied = (commandType: string, resourceId: string, result: object = {}, more: object = {}): object => ({
  commandId: '11111111-1111-5111-8111-111111111111',
  commandType,
  resourceId,
  outcome: 'APPLIED',
  revision: 1,
  position: '42',
  replayed: false,
  result,
  ...more,
});

export const startOfTest = Date.parse('2026-11-02T10:00:00.000Z');

export interface KfOptions {
  readonly server?: string | undefined;
  readonly stdin?: string | Buffer;
  /** Which streams are a terminal. */
  readonly tty?: { readonly stdin?: true; readonly stdout?: true; readonly stderr?: true };
  readonly variables?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly requestTimeoutMs?: number;
  readonly fetch?: typeof fetch;
  /** What the program says that copies a log; nothing when left out. */
  readonly logCopy?: Io['logCopy'];
  /** Stands still, and waiting takes no time, when left out. */
  readonly clock?: Clock;
  /** Called whenever something is written to stdout. */
  readonly onOut?: (text: string) => void;
}

export interface KfRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A folder of its own for the configuration of one test, in which there is no root key. */
export const emptyHome = (): string => mkdtempSync(join(tmpdir(), 'kf-'));

const instantly = { now: () => startOfTest, monotonicMs: () => 0, after: (_delayMs: number, wake: () => void) => { const soon = setImmediate(wake); return () => clearImmediate(soon); } };

/** What the environment says: the server and a key when there is a server, no colours, and a home of its own. */
function environmentOf({ server, variables }: KfOptions): ReturnType<typeof readCliEnvironment> {
  const home = emptyHome();
  const connection = server === undefined ? {} : { KF_SERVER: server, KF_API_KEY: 'kf_test_key' };
  return readCliEnvironment({ NO_COLOR: '1', KF_DATA_DIR: join(home, 'data'), XDG_CONFIG_HOME: home, ...connection, ...variables }, home);
}

const silence: Io['logCopy'] = () => Readable.from([]);

const given = ({ fetch: own = fetch, clock = instantly, signal = new AbortController().signal, logCopy = silence }: KfOptions): Pick<Io, 'fetch' | 'clock' | 'signal' | 'logCopy'> => ({ fetch: own, clock, signal, logCopy });

/** Runs one command line in this process. Nothing of the machine's own configuration is read; time stands still, waiting takes none. */
export async function kf(argv: readonly string[], options: KfOptions = {}): Promise<KfRun> {
  const { stdin = '', tty = {}, requestTimeoutMs = 5_000 } = options;
  const written = { out: '', err: '' };
  const terminal = (is: true | undefined): object => (is === true ? { isTTY: true } : {});
  const stderr = new Writable({ write: (chunk: Buffer, _encoding, done) => ((written.err += chunk.toString()), done()) });
  let made = 0;
  const code = await run(argv, {
    stdin: Object.assign(Readable.from(stdin === '' ? [] : [stdin]), terminal(tty.stdin)),
    stdout: { write: (text: string) => ((written.out += text), options.onOut?.(text)), ...terminal(tty.stdout) },
    stderr: Object.assign(stderr, terminal(tty.stderr)),
    environment: environmentOf(options),
    ...given(options),
    ids: { uuid: () => '22222222-2222-4222-8222-222222222222', randomBytes: (length) => new Uint8Array(length).fill((made += 1)) },
    version: '9.9.9',
    requestTimeoutMs,
    timeZone: 'Europe/Berlin',
  });
  return { code, ...written };
}

/** Words of a line without quotes in it. */
export const words = (line: string): readonly string[] => line.split(' ').filter((word) => word !== '');

/** Every verb below a group (`kf` itself when left out), as the helps of the groups list them. */
export async function leafVerbs(group: readonly string[] = []): Promise<readonly string[]> {
  const { out } = await kf([...group, '--help']);
  const list = out.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
  const below = await Promise.all(names.map((name) => leafVerbs([...group, name])));
  return names.flatMap((name, index) => (below[index]?.length === 0 ? [[...group, name].join(' ')] : (below[index] ?? [])));
}
