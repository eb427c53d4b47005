import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';

// Processes start slowly on a busy machine.
jest.setTimeout(60_000);

const main = fileURLToPath(new URL('../../dist/apps/server/main.js', import.meta.url));
const environmentOf = (environment: Record<string, string>): Record<string, string> => ({ PATH: process.env['PATH'] ?? '', KF_PORT: '0', KF_DATA_DIR: folder, ...environment });

let folder: string;
let running: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-main-'));
  running = [];
});
afterEach(async () => {
  for (const child of running) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true });
});

/** Runs a server that is expected not to start. */
function failing(environment: Record<string, string>): { code: number | null; said: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main], { env: environmentOf(environment), encoding: 'utf8', timeout: 20_000 });
  return { code: status, said: stdout + stderr };
}

async function starting(environment: Record<string, string> = {}): Promise<{ child: ChildProcess; url: string; said: () => string; startedMs: number }> {
  const before = performance.now();
  const child = spawn(process.execPath, [main], { env: environmentOf(environment), stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      const found = /http:\/\/[^\s]+:\d+/.exec(said)?.[0];
      if (found !== undefined) resolve(found);
    });
    child.on('exit', () => reject(new Error(said)));
  });
  return { child, url, said: () => said, startedMs: performance.now() - before };
}

describe('the server as a process', () => {
  it('is built', () => expect(existsSync(main)).toBe(true));

  it('names every mistake in its environment at once, and exits with 2', () => {
    const { code, said } = failing({ KF_PORT: 'x', KF_HISTORY_DAY: '3', KF_ALLOW_HTTP: 'yes', KF_MASTER_KEY: 'hunter2' });
    expect(code).toBe(2);
    for (const part of ['KF_PORT must be', 'KF_HISTORY_DAY is not a known variable. Did you mean "KF_HISTORY_DAYS"?', 'KF_ALLOW_HTTP must be true or false', 'KF_MASTER_KEY must be']) expect(said).toContain(part);
    expect(said).not.toContain('hunter2');
  });

  it('first says where it listens, where the root key is, and what to try; never the key', async () => {
    const { url, said, child } = await starting();
    expect(said()).toMatch(/^Countersign \d+\.\d+\.\d+ listens on http:\/\/127\.0\.0\.1:\d+\n/);
    expect(said()).toContain(join(folder, 'root.key'));
    expect(said()).toContain('kf');
    const key = readFileSync(join(folder, 'root.key'), 'utf8').trim();
    expect(said()).not.toContain(key);
    expect(await (await fetch(`${url}/api/whoami`, { headers: { authorization: `Bearer ${key}` } })).json()).toMatchObject({ keyId: 'root' });
    child.kill('SIGTERM');
    expect(await once(child, 'exit')).toEqual([0, null]);
  });

  it('does not start beside another on one data folder', async () => {
    await starting();
    const { code, said } = failing({});
    expect(code).toBe(1);
    expect(said).toContain('in use by another process');
  });

  it('does not start on a port that is taken', async () => {
    const { url } = await starting();
    const { code, said } = failing({ KF_PORT: new URL(url).port, KF_DATA_DIR: join(folder, 'other') });
    expect(code).toBe(1);
    expect(said).toContain(`something else listens on port ${new URL(url).port} of 127.0.0.1 already; KF_PORT takes another one`);
  });

  it('does not start without the master key of its log', async () => {
    const { child } = await starting();
    child.kill('SIGTERM');
    await once(child, 'exit');
    rmSync(join(folder, 'master.key'));
    const { code, said } = failing({});
    expect(code).toBe(1);
    expect(said).toContain('master.key');
    expect(existsSync(join(folder, 'master.key'))).toBe(false);
  });

  it('asked to stop, finishes the request under way and takes no more', async () => {
    const { child, url } = await starting();
    const { port } = new URL(url);
    const key = readFileSync(join(folder, 'root.key'), 'utf8').trim();
    const body = '{"type":"a.b","eventId":"late","data":1}';
    const socket = connect(Number(port), '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.write(`POST /api/events?siteId=acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    // The request has arrived when the server answers another one that came after it.
    await fetch(`${url}/health/live`);
    child.kill('SIGTERM');
    const refused = async (): Promise<boolean> => fetch(`${url}/health/live`).then(() => false, () => true);
    while (!(await refused()));
    socket.write(body.slice(10));
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('"ACCEPTED"');
  });

  it('with one role does only that, and still tells how it is', async () => {
    const { url } = await starting({ KF_ROLES: 'dispatcher' });
    expect((await fetch(`${url}/api/whoami`)).status).toBe(404);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
  });
});
