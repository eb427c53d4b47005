import { mkdtempSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { StoreUnavailable } from '#event-store';
import { isRefusal } from '#kernel';
import { seededIds } from '../../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';
import type { Backup, BackupStep } from '../parts.ts';
import { LogBackups, type LogBackupsParts } from './log-backups.ts';

let dataDir: string;
let copyTo: LogBackupsParts['store']['copyTo'];
let backups: LogBackups;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'log-backups-'));
  writeFileSync(join(dataDir, 'events.db'), 'the log');
  copyTo = async (file, _signal, onProgress) => {
    await nextTurn();
    onProgress(3, 7);
    await nextTurn();
    writeFileSync(file, 'a copy!');
    return { position: '5', bytes: 7 };
  };
  backups = new LogBackups({ dataDir, store: { copyTo: (...asked) => copyTo(...asked) }, clock: simulatedClock(), ids: seededIds(1) });
});
afterEach(() => rmSync(dataDir, { recursive: true }));

async function begun(): Promise<Backup> {
  const backup = await backups.begin();
  if (isRefusal(backup)) throw new Error(backup.detail);
  return backup;
}

/** All steps up to the result, when the client then leaves. */
async function stepsOf(backup: Backup): Promise<readonly BackupStep[]> {
  const left = new AbortController();
  const steps: BackupStep[] = [];
  for await (const step of backup.steps(left.signal)) {
    steps.push(step);
    if (step.kind !== 'progress') left.abort();
  }
  return steps;
}

describe('backups of the embedded log', () => {
  it('tell how far they are and what came of it, and are gone when they end', async () => {
    const backup = await begun();
    expect(await stepsOf(backup)).toEqual([{ kind: 'progress', bytes: 3, totalBytes: 7 }, { kind: 'result', backupId: backup.id, position: '5', bytes: 7 }]);
    expect((await backups.content(backup.id))?.bytes).toBe(7);
    backup.end();
    expect([await backups.content(backup.id), readdirSync(dataDir)]).toEqual([undefined, ['events.db']]);
  });

  it('are made one at a time', async () => {
    const first = await begun();
    expect(await backups.begin()).toMatchObject({ refused: 'concurrent-modification' });
    first.end();
    (await begun()).end();
  });

  it('cannot be fetched before they are whole', async () => {
    const backup = await begun();
    expect(await backups.content(backup.id)).toBeUndefined();
    backup.end();
  });

  it('are refused before anything is written when they would fill the disk, and the next one may begin', async () => {
    // Sparse: it takes no room, and no disk has so much.
    truncateSync(join(dataDir, 'events.db'), 8e12);
    expect(await backups.begin()).toMatchObject({ refused: 'backup-failed', detail: expect.stringMatching(/needs 80000671\d+ bytes .* are free/) });
    expect(readdirSync(dataDir)).toEqual(['events.db']);
    truncateSync(join(dataDir, 'events.db'), 7);
    (await begun()).end();
  });

  it('are not begun where the files of the log cannot be looked at, and the next one may begin', async () => {
    const wal = join(dataDir, 'events.db-wal');
    symlinkSync(wal, wal);
    await expect(backups.begin()).rejects.toThrow('ELOOP');
    rmSync(wal);
    (await begun()).end();
  });

  it('that the store cannot make fail with a problem; a mistake of ours is thrown', async () => {
    copyTo = () => Promise.reject(new StoreUnavailable('database or disk is full (SQLITE_FULL)'));
    const backup = await begun();
    expect(await stepsOf(backup)).toEqual([{ kind: 'failed', refusal: expect.objectContaining({ refused: 'backup-failed', detail: expect.stringContaining('SQLITE_FULL') }) }]);
    backup.end();
    copyTo = () => Promise.reject(new TypeError('ours'));
    const next = await begun();
    await expect(stepsOf(next)).rejects.toThrow('ours');
    next.end();
  });
});
