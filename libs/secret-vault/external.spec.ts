import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { resolveExternal } from './external.ts';

const text = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
let folder: string;
let secretsDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'secrets-'));
  secretsDir = join(folder, 'secrets');
  mkdirSync(secretsDir);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (reference: string, environment: Record<string, string> = {}) =>
  resolveExternal({ secretsDir, environmentSecrets: (variable) => environment[variable] }, { versionId: 'v1', kind: reference.startsWith('env:') ? 'env' : 'file', reference });

describe('a secret in a variable', () => {
  it('is read each time it is asked for', async () => {
    expect((await open('env:KF_WEBHOOK_SECRET_A', { KF_WEBHOOK_SECRET_A: text })).reveal()).toEqual(new Uint8Array(32).fill(7));
  });

  it('is unavailable while it is not set, or is no signing secret, and the error holds no part of it', async () => {
    await expect(open('env:KF_WEBHOOK_SECRET_A')).rejects.toMatchObject({ name: 'SigningSecretUnavailable', message: 'env:KF_WEBHOOK_SECRET_A is not set' });
    await expect(open('env:KF_WEBHOOK_SECRET_A', { KF_WEBHOOK_SECRET_A: 'hunter2hunter2' })).rejects.toThrow(/^(?!.*hunter2)/);
  });
});

describe('a secret in a file', () => {
  it.each(['', '\n', '\r\n'])('is read with or without a line end after it: %j', async (end) => {
    writeFileSync(join(secretsDir, 'orders'), text + end);
    expect((await open('file:orders')).reveal()).toEqual(new Uint8Array(32).fill(7));
  });

  it('may be a link within the folder, as mounted secrets are', async () => {
    mkdirSync(join(secretsDir, '..2026'));
    writeFileSync(join(secretsDir, '..2026', 'orders'), text);
    symlinkSync('..2026', join(secretsDir, '..data'));
    symlinkSync(join('..data', 'orders'), join(secretsDir, 'orders'));
    expect((await open('file:orders')).reveal()).toEqual(new Uint8Array(32).fill(7));
  });

  it('is refused when a link leads out of the folder, also to a folder whose name starts alike', async () => {
    writeFileSync(join(folder, 'master.key'), text);
    symlinkSync('../master.key', join(secretsDir, 'direct'));
    mkdirSync(join(folder, 'secrets-too'));
    writeFileSync(join(folder, 'secrets-too', 'a'), text);
    symlinkSync('../secrets-too/a', join(secretsDir, 'sibling'));
    symlinkSync('..', join(secretsDir, 'up'));
    for (const name of ['direct', 'sibling', 'up']) await expect(open(`file:${name}`)).rejects.toThrow(/leads out of the secrets folder/);
  });

  it('is refused when it is missing, a folder, a pipe, or too large', async () => {
    mkdirSync(join(secretsDir, 'folder'));
    execFileSync('mkfifo', [join(secretsDir, 'pipe')]);
    writeFileSync(join(secretsDir, 'large'), text.padEnd(1025, '\n'));
    await expect(open('file:missing')).rejects.toThrow(/can't be found \(ENOENT\)/);
    for (const name of ['folder', 'pipe', 'large']) await expect(open(`file:${name}`)).rejects.toThrow(/not a plain file of at most 1024 bytes/);
  });

  it('is refused when it is no signing secret, and the error holds no part of it', async () => {
    writeFileSync(join(secretsDir, 'passwd'), 'root:x:0:0');
    await expect(open('file:passwd')).rejects.toThrow(/^file:passwd: (?!.*root)/);
  });
});
