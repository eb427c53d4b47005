import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import Database from 'better-sqlite3';
import type { EventStore } from '#event-store';
import { isRefusal, type Position, type Site } from '#kernel';
import { readModelsFixture, storeWithBatches } from '../../test/support/read-models.ts';
import type { ReadModels } from './read-models.ts';
import type { Replay, ReplayProgress, ReplayResult } from './replay.ts';

const site: Site = { tenant: 't', environment: 'production' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const of = readModelsFixture();
jest.setTimeout(30_000);

const dayMs = 86_400_000;
const scratch = (): string => join(of().dataDir, 'read-models-replay.db');
const begun = (models: ReadModels, to?: Position): Replay => {
  const replay = models.replay(to);
  if (isRefusal(replay)) throw new Error(replay.detail);
  return replay;
};

/** Replays to the end; answers all steps. */
async function stepsOf(models: ReadModels, to?: Position, signal: AbortSignal = new AbortController().signal): Promise<readonly (ReplayProgress | ReplayResult)[]> {
  const replay = begun(models, to);
  try {
    const steps: (ReplayProgress | ReplayResult)[] = [];
    for await (const step of replay.steps(signal)) steps.push(step);
    return steps;
  } finally {
    await replay.end();
  }
}

async function resultOf(models: ReadModels, to?: Position): Promise<ReplayResult> {
  const last = (await stepsOf(models, to)).at(-1);
  if (last?.kind !== 'result') throw new Error('the replay had no result');
  return last;
}

/** A log with a delivered event, and read models that have folded it. */
async function lived(store?: EventStore): Promise<ReadModels> {
  await of().log.create(site, 'whs_1');
  await of().log.publish(site, 'e1');
  const id = await of().log.schedule(site, 'e1', 'whs_1', incarnation);
  await of().log.attempt(site, id, 'AttemptFailed');
  await of().log.attempt(site, id, 'Succeeded', 2);
  return await of().caughtUp(await of().started(store));
}

/** A store whose `readAll`, which only what runs beside uses, waits to be let go from some call on. */
function gated(store: EventStore) {
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  let asked = (): void => undefined;
  const waits = new Promise<void>((resolve) => (asked = resolve));
  const readAll: EventStore['readAll'] = async (...args) => {
    asked();
    await gate;
    return store.readAll(...args);
  };
  return { store: storeWithBatches(store, readAll), waits, open: () => open() };
}

/** Spoils the live file behind everybody's back. */
async function tampered(sql: string): Promise<ReadModels> {
  await of().close(await lived());
  const file = new Database(join(of().dataDir, 'read-models.db'));
  expect(file.prepare(sql).run().changes).toBe(1);
  file.close();
  return await of().caughtUp(await of().started());
}

describe('a replay', () => {
  it('comes to what is live, and leaves nothing behind', async () => {
    const models = await lived();
    const head = await of().store.head();
    const result = await resultOf(models);
    expect(result).toEqual({ kind: 'result', position: head, livePosition: head, events: of().memory.events.length, digest: of().digestOfRebuild().sha256, liveDigest: result.digest, equal: true });
    expect(existsSync(scratch())).toBe(false);
    expect(await resultOf(models)).toEqual(result);
    expect(of().alarms).toEqual([]);
  });

  it.each(['UPDATE deliveries SET attempts = attempts + 1', "UPDATE commands SET actor = 'USER:kim'", 'DELETE FROM events', "UPDATE attempts SET outcome = '{}' WHERE revision = 1"])('sees that the live file was tampered with: %s', async (sql) => {
    const models = await tampered(sql.includes('commands') ? `${sql} WHERE id = (SELECT id FROM commands LIMIT 1)` : sql);
    expect(await resultOf(models)).toMatchObject({ equal: false });
  });

  it('to a position ends there: with nothing to compare, unless that is where the live ones stand', async () => {
    const models = await lived();
    const head = await of().store.head();
    const early = await resultOf(models, '3');
    expect(early).toMatchObject({ position: '3', livePosition: head, liveDigest: null, equal: null });
    expect(await resultOf(models, '3')).toEqual(early);
    expect(await resultOf(models, head)).toMatchObject({ position: head, equal: true });
  });

  it('to a position after which only came what no read model is made of can be compared', async () => {
    const models = await lived();
    const last = await of().store.head();
    await of().log.write('sagacheckpoint-fan-out', { type: 'SagaCheckpointed', data: {} });
    await of().caughtUp(models);
    expect(await resultOf(models, last)).toMatchObject({ position: last, livePosition: await of().store.head(), equal: true });
  });

  it('compares with the live ones as they are when it has come to them, while the log grows', async () => {
    const slow = gated(of().store);
    const models = await lived(slow.store);
    const replaying = resultOf(models);
    await slow.waits;
    for (let n = 0; n < 20; n += 1) await of().log.create(site, `whs_new_${n}`);
    await of().caughtUp(models);
    slow.open();
    expect(await replaying).toMatchObject({ position: await of().store.head(), livePosition: await of().store.head(), equal: true });
  });

  it('says how far it is, about twice a second', async () => {
    const models = await lived();
    for (let n = 0; n < 2_000; n += 1) await of().log.publish(site, `many${n}`);
    await of().caughtUp(models);
    let ms = 0;
    of().clock.monotonicMs = () => (ms += 300);
    const steps = await stepsOf(models);
    const progress = steps.filter((step) => step.kind === 'progress');
    expect(progress.length).toBeGreaterThan(0);
    expect(progress[0]).toEqual({ kind: 'progress', position: expect.any(String), head: await of().store.head(), events: expect.any(Number) });
    expect(steps.at(-1)).toMatchObject({ equal: true });
  });

  it('is one at a time', async () => {
    const models = await lived();
    const replay = begun(models);
    expect(models.replay(undefined)).toMatchObject({ refused: 'concurrent-modification' });
    await replay.end();
    expect(await resultOf(models)).toMatchObject({ equal: true });
  });

  it('is over when its result is there', async () => {
    const models = await lived();
    for await (const { kind } of begun(models).steps(new AbortController().signal)) {
      expect(isRefusal(models.replay(undefined))).toBe(kind !== 'result');
      expect(existsSync(scratch())).toBe(kind !== 'result');
    }
  });

  it('is refused while the live file is of another version of the program', async () => {
    await of().close(await lived());
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec("UPDATE checkpoints SET definition = 'of another version' WHERE projection = 'events'");
    file.close();
    expect((await of().open()).replay(undefined)).toMatchObject({ refused: 'projection-behind', detail: expect.stringContaining('events') });
  });

  it('whose caller is gone ends, and leaves nothing behind', async () => {
    const slow = gated(of().store);
    const models = await lived(slow.store);
    const gone = new AbortController();
    const steps = stepsOf(models, undefined, gone.signal);
    await slow.waits;
    expect(statSync(scratch()).mode & 0o777).toBe(0o600);
    gone.abort();
    slow.open();
    expect(await steps).toEqual([]);
    expect(readdirSync(of().dataDir).filter((name) => name.startsWith('read-models-'))).toEqual([]);
    expect(await resultOf(models)).toMatchObject({ equal: true });
  });

  it('is given up when the read models are closed', async () => {
    const slow = gated(of().store);
    const models = await lived(slow.store);
    const steps = stepsOf(models);
    await slow.waits;
    const closed = of().close(models);
    slow.open();
    expect(await steps).toEqual([]);
    await closed;
    expect(existsSync(scratch())).toBe(false);
  });

  it('that was killed leaves nothing behind after the next start', async () => {
    await of().close(await lived());
    // Also where it was killed while it removed them.
    for (const suffixes of [['', '-wal', '-shm'], ['-wal']]) {
      for (const suffix of suffixes) writeFileSync(`${scratch()}${suffix}`, 'half');
      await of().close(await of().caughtUp(await of().started()));
      expect(readdirSync(of().dataDir).filter((name) => name.startsWith('read-models-'))).toEqual([]);
    }
  });

  it('fails as the store does, and leaves nothing behind', async () => {
    const broken = storeWithBatches(of().store, () => Promise.reject(new Error('the disk is gone')));
    const models = await lived(broken);
    await expect(stepsOf(models)).rejects.toThrow('the disk is gone');
    expect(existsSync(scratch())).toBe(false);
    await expect(stepsOf(models)).rejects.toThrow('the disk is gone');
  });
});

describe('history', () => {
  const transcriptsOf = (id: string) => ({ type: 'WebhookTranscriptsRecorded', data: { transcripts: [{ deliveryId: id, attempt: 1 }] } });
  const streamOfDay = (day: number): string => `transcript-${new Date(day).toISOString().slice(0, 10).replaceAll('-', '')}.0`;

  /** A delivery with a transcript on each of some days; answers the days. */
  async function days(count: number): Promise<readonly number[]> {
    const all: number[] = [];
    for (let n = 0; n < count; n += 1) {
      of().log.passDays(1);
      all.push(of().log.nowMs);
      const id = await of().log.schedule(site, `e${n}`, 'whs_1', incarnation);
      await of().log.attempt(site, id, 'Succeeded');
      await of().log.write(streamOfDay(of().log.nowMs), transcriptsOf(id));
    }
    return all;
  }

  it('that was dropped day by day is dropped in a replay too', async () => {
    await of().log.create(site, 'whs_1');
    const models = await of().started();
    await days(50);
    await of().caughtUp(models);
    of().clock.wallMs = of().log.nowMs;
    expect(await resultOf(models)).toMatchObject({ equal: true });
  });

  it('that the log dropped by the clock, before the read model did, is in neither digest', async () => {
    await of().log.create(site, 'whs_1');
    const models = await of().started();
    const [first = 0, second = 0] = await days(3);
    await of().caughtUp(models);
    of().clock.wallMs = second + 31 * dayMs;
    for (const day of [first, second]) await of().store.tombstone(streamOfDay(day));
    await of().caughtUp(models);
    const result = await resultOf(models);
    expect(result).toMatchObject({ equal: true });
    expect(result.liveDigest).not.toBe((await models.digest()).sha256);
  });

  it('that is still to be there is compared', async () => {
    await of().log.create(site, 'whs_1');
    const models = await of().started();
    const [first = 0] = await days(3);
    await of().caughtUp(models);
    of().clock.wallMs = of().log.nowMs;
    await of().store.tombstone(streamOfDay(first));
    await of().caughtUp(models);
    expect(await resultOf(models)).toMatchObject({ equal: false });
  });
});
