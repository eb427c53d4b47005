import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyHome, type FakeApi, kf, type KfOptions, type KfRun, problem, startFakeApi } from '../../test/support/kf.ts';

let api: FakeApi;
let home: string;
let folder: string;
let file: string;
beforeEach(async () => {
  api = await startFakeApi();
  home = emptyHome();
  folder = join(home, 'backups', 'first');
  file = join(folder, 'events.db');
});
afterEach(async () => {
  await api.close();
  rmSync(home, { recursive: true });
});

const make = 'POST /api/backups';
const fetchIt = 'GET /api/backups/bak_1';
const content = 'SQLite format 3 and so on';
const result = { backupId: 'bak_1', position: '4711', bytes: content.length };
const streamed = (...messages: readonly (readonly [event: string, data: object])[]): { readonly text: string; readonly headers: Readonly<Record<string, string>> } => ({
  text: messages.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(''),
  headers: { 'content-type': 'text/event-stream' },
});
const made = streamed(['connected', { backupId: 'bak_1' }], ['progress', { bytes: 10, totalBytes: 25 }], ['result', result]);
const fetched = { text: content, headers: { 'content-type': 'application/vnd.sqlite3' } };
const backup = (options: KfOptions = {}): Promise<KfRun> => kf(['backup', folder], { server: api.url, ...options });
const left = (): readonly string[] => (existsSync(folder) ? readdirSync(folder) : []);

describe('kf backup', () => {
  it('writes the copy for its owner alone, prints up to where it goes, and says what is not in it', async () => {
    api.answers(make, made);
    api.answers(fetchIt, fetched);
    const { code, out, err } = await backup();
    expect([code, JSON.parse(out)]).toEqual([0, result]);
    expect(err).toContain('The master key is not in it');
    expect(readFileSync(file, 'utf8')).toBe(content);
    expect([left(), statSync(folder).mode & 0o777, statSync(file).mode & 0o777]).toEqual([['events.db'], 0o700, 0o600]);
  });

  it('shows how far it is on a terminal, and with --quiet the file alone', async () => {
    api.answers(make, made, made);
    api.answers(fetchIt, fetched, fetched);
    const { out, err } = await backup({ tty: { stdout: true, stderr: true } });
    expect(out).toBe(`Log up to position  4711\nBytes               25\nFile                ${file}\n`);
    expect(err).toContain('10 of 25 bytes copied by the server');
    expect(err).toContain('25 of 25 bytes fetched');
    rmSync(file);
    expect(await kf(['backup', folder, '--quiet'], { server: api.url })).toEqual({ code: 0, out: `${file}\n`, err: '' });
  });

  it('never replaces a log, and sends nothing when there is one', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(file, 'the only one');
    expect(await backup()).toMatchObject({ code: 2, err: expect.stringContaining(`${file} is there already`) });
    expect([readFileSync(file, 'utf8'), api.requests]).toEqual(['the only one', []]);
  });

  it('sends nothing when the folder is missing or cannot be made', async () => {
    expect(await kf(['backup'], { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining("missing required argument 'dir'") });
    writeFileSync(join(home, 'backups'), 'a file');
    expect(await backup()).toMatchObject({ code: 2, err: expect.stringContaining("the folder can't be made") });
    expect(api.requests).toEqual([]);
  });

  it('leaves nothing of a copy that is shorter than it should be', async () => {
    api.answers(make, made);
    api.answers(fetchIt, { ...fetched, text: content.slice(0, 20) });
    expect(await backup()).toMatchObject({ code: 1, out: '', err: expect.stringContaining('the copy ended after 20 of 25 bytes') });
    expect(left()).toEqual([]);
  });

  it('takes the place of what an earlier run has left unfinished, not its mode', async () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(`${file}.partial`, 'x'.repeat(100), { mode: 0o644 });
    api.answers(make, made);
    api.answers(fetchIt, fetched);
    expect((await backup()).code).toBe(0);
    expect([readFileSync(file, 'utf8'), statSync(file).mode & 0o777]).toEqual([content, 0o600]);
  });

  it.each([
    ['the server could not make it', streamed(['connected', {}], ['failed', { title: 'The log could not be copied', status: 507, type: 'https://countersign.dev/problems/backup-failed', detail: 'The disk is full.' }]), /backup-failed, 507[^]*The disk is full/],
    ['there is no room', problem('backup-failed', 507, { detail: '10 bytes are free.' }), /10 bytes are free/],
    ['another one is being made', problem('concurrent-modification', 409), /concurrent-modification/],
    ['it ended without a result', streamed(['connected', {}]), /ended without a result/],
  ])('exits 1 and writes nothing when %s', async (_why, answer, said) => {
    api.answers(make, answer);
    expect(await backup()).toMatchObject({ code: 1, out: '', err: expect.stringMatching(said) });
    expect(left()).toEqual([]);
  });

  it('help says what it needs, what is not in it, and where restoring is told', async () => {
    const { out } = await kf(['backup', '--help']);
    for (const word of ['master.key', 'docs/operations.md', 'site:*:audit', 'Exit codes: 0']) expect(out.replace(/\s+/g, ' ')).toContain(word);
  });
});
