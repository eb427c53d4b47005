import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, jest } from '@jest/globals';
import Database from 'better-sqlite3';
import { createMemoryEventStore } from '#event-store/memory';
import { openSqliteEventStore } from '#event-store/sqlite';
import { placeOf, type RecordedEvent, type Site, streamOf } from '#kernel';
import type { Committed, ReadModels } from '#read-models';
import { eventually } from '../../test/support/e2e/eventually.ts';
import { History } from '../../test/support/history.ts';
import { digestOf, readModelsFixture, redelivering, storeWith } from '../../test/support/read-models.ts';
import { ModelFile } from './model-file.ts';
import { ModelThread } from './model-thread.ts';

const site: Site = { tenant: 't', environment: 'production' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const of = readModelsFixture();
jest.setTimeout(30_000);

/** Something of everything that is folded. */
async function life(log: History): Promise<void> {
  await log.create(site, 'whs_1');
  for (let n = 0; n < 5; n += 1) {
    const eventId = `e${log.nowMs}-${n}`;
    await log.publish(site, eventId);
    const id = await log.schedule(site, eventId, 'whs_1', incarnation);
    await log.attempt(site, id, n % 2 === 0 ? 'Succeeded' : 'AttemptFailed');
    await log.write('transcript-20260101.1', { type: 'WebhookTranscriptsRecorded', data: { transcripts: [{ deliveryId: id, attempt: 1, n }] } });
  }
  await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
  await log.publish(site, `missed-${log.nowMs}`);
  await log.write(streamOf('apikey', site, 'key_1'), {
    type: 'ApiKeyCreated',
    data: { name: 'n', scopes: [], actor: null, anyActor: true, defaultActor: null, owner: null, expiresOn: null, keySha256: 'h' },
  });
}

describe('folding the log', () => {
  it('changes nothing when every batch is delivered three times', async () => {
    await life(of().log);
    const models = await of().started(redelivering(of().store));
    await life(of().log.pass(1000));
    await of().caughtUp(models);
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('goes on from the checkpoint in the file, also when the file is an older copy', async () => {
    await life(of().log);
    await of().close(await of().caughtUp(await of().started()));
    copyFileSync(join(of().dataDir, 'read-models.db'), join(of().dataDir, 'older'));
    await life(of().log.pass(1000));
    await of().close(await of().caughtUp(await of().started()));
    copyFileSync(join(of().dataDir, 'older'), join(of().dataDir, 'read-models.db'));
    const models = await of().caughtUp(await of().started());
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('is as far behind as the oldest event that it has not read, from its first moment', async () => {
    await life(of().log);
    await of().close(await of().caughtUp(await of().started()));
    of().clock.wallMs = of().log.nowMs + 3_600_000;
    const current = await of().open();
    expect(current.status().map(({ behindMs }) => behindMs < 60_000)).toEqual(current.status().map(() => true));
    await of().close(current);
    await of().log.publish(site, 'unread');
    const behind = await of().open();
    expect(behind.status().map(({ behindMs }) => behindMs >= 3_600_000)).toEqual(behind.status().map(() => true));
    behind.start();
    await of().caughtUp(behind);
    expect(behind.behindMs('api-keys')).toBe(0);
  });

  it('comes back from the log when the file was deleted', async () => {
    await life(of().log);
    const before = await of().caughtUp(await of().started());
    const digest = await before.digest();
    await of().close(before);
    for (const name of readdirSync(of().dataDir)) rmSync(join(of().dataDir, name));
    expect(await (await of().caughtUp(await of().started())).digest()).toEqual(digest);
  });

  it('is built anew, with an alarm, when the file is no database or belongs to another log', async () => {
    await life(of().log);
    writeFileSync(join(of().dataDir, 'read-models.db'), 'this is no database, it only stands where one should'.repeat(100));
    const models = await of().caughtUp(await of().started());
    expect(of().alarms).toMatchObject([{ alarm: 'read-models-remade' }]);
    await of().close(models);
    const empty = createMemoryEventStore();
    const other = await of().started(empty);
    expect(of().alarms).toMatchObject([{}, { alarm: 'read-models-remade', detail: expect.stringContaining('ahead of the log') }]);
    expect(await other.listSubscriptions({ site, includeDeleted: true, limit: 10 })).toEqual({ items: [], nextCursor: null });
  });

  it('tells every committed event once and in order, from where it stood when it was opened', async () => {
    await life(of().log);
    await of().close(await of().caughtUp(await of().started()));
    const models = await of().open(redelivering(of().store));
    const told: Committed[] = [];
    models.onCommitted((committed) => told.push(committed));
    models.start();
    const before = of().memory.events.length;
    await life(of().log.pass(1000));
    await of().caughtUp(models);
    const followed = of().memory.events.slice(before).map(({ position }) => position);
    expect(told.flatMap(({ events }) => events.map(({ position }) => position))).toEqual(followed);
    expect(told.at(-1)?.position).toBe(await of().store.head());
  });

  it('tells every event once and in order as it is read, from where it stood when it was opened', async () => {
    await life(of().log);
    await of().close(await of().caughtUp(await of().started()));
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec("UPDATE checkpoints SET position = 2 WHERE projection = 'events'; DELETE FROM events WHERE position > 2");
    file.close();
    const models = await of().open(redelivering(of().store));
    const [read, committed]: [string[], string[]] = [[], []];
    models.onRead(({ events }) => read.push(...events.map(({ position }) => position)));
    models.onCommitted(({ events }) => committed.push(...events.map(({ position }) => position)));
    models.start();
    const before = of().memory.events.length;
    await of().caughtUp(models);
    await life(of().log.pass(1000));
    await of().caughtUp(models);
    expect(read).toEqual(of().memory.events.slice(before).map(({ position }) => position));
    expect(committed).toEqual(read);
  });

  it('rests after a batch while nobody waits for the next, and folds at once what does not come in thousands, and what somebody waits for', async () => {
    const models = await of().open(of().store, of().dataDir, 1_000_000);
    const told: number[] = [];
    models.onCommitted(({ events }) => told.push(events.length));
    models.start();
    await of().log.create(site, 'whs_1');
    await of().caughtUp(models);
    told.length = 0;
    for (let n = 0; n < 50; n += 1) await of().log.publish(site, `e${n}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const whileNobodyWaited = told.length;
    await of().caughtUp(models);
    for (let n = 0; n < 50; n += 1) await of().log.publish(site, `f${n}`);
    const head = await of().log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
    while (told.reduce((sum, count) => sum + count, 0) < 102) await new Promise((resolve) => setTimeout(resolve, 1));
    expect(whileNobodyWaited).toBeLessThanOrEqual(1);
    expect([await models.waitFor(head, 0), told.length <= 4]).toEqual(['reached', true]);
  });

  it('tells only what is new when one projection has to catch up with the others', async () => {
    await life(of().log);
    await of().close(await of().caughtUp(await of().started()));
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec("UPDATE checkpoints SET position = 2 WHERE projection = 'events'; DELETE FROM events WHERE position > 2");
    file.close();
    const before = of().memory.events.length;
    await of().log.create(site, 'whs_9');
    const models = await of().open();
    const told: string[] = [];
    models.onCommitted(({ events }) => told.push(...events.map(({ position }) => position)));
    models.start();
    await of().caughtUp(models);
    expect(told).toEqual(of().memory.events.slice(before).map(({ position }) => position));
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('tells others, and raises an alarm, when one who is told throws', async () => {
    const models = await of().started();
    models.onCommitted(() => {
      throw new Error('not now');
    });
    const told: string[] = [];
    models.onCommitted(({ position }) => told.push(position));
    await log1();
    await of().caughtUp(models);
    expect(told).toContain('2');
    expect(of().alarms).toContainEqual({ alarm: 'listener-failed', projection: null, detail: 'not now' });
  });
  const log1 = (): Promise<string> => of().log.create(site, 'whs_1');

  it('goes on after the store failed', async () => {
    await life(of().log);
    let failures = 0;
    const failing = storeWith(of().store, {
      subscribe: (after, filter, signal) => {
        failures -= 1;
        if (failures >= 0) throw new Error('the store is away');
        return of().store.subscribe(after, filter, signal);
      },
    });
    const models = await of().open(failing);
    failures = 1;
    models.start();
    await of().caughtUp(models);
    expect(of().alarms).toMatchObject([{ alarm: 'read-models-failing', detail: 'the store is away' }]);
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('answers nobody as of an event of which its listeners have not been told, also when it goes on after a failure', async () => {
    let fails = false;
    const failing = storeWith(of().store, {
      subscribe: (after, filter, signal) => {
        if (fails) throw new Error('the store is away');
        return of().store.subscribe(after, filter, signal);
      },
    });
    await life(of().log);
    const models = await of().open(failing);
    fails = true;
    const told = new Set<string>();
    models.onCommitted(({ events }) => {
      for (const { stream, type } of events) if (type === 'WebhookDeliveryScheduled') told.add(placeOf(stream).id);
    });
    models.start();
    await eventually('it has failed', () => of().alarms[0]);
    fails = false;
    const untold = new Set<string>();
    for (let shown = 0; shown < 5; ) {
      const page = await models.listDeliveries({ site, limit: 50 });
      const ids = 'items' in page ? page.items.map(({ id }) => id) : [];
      for (const id of ids) if (!told.has(id)) untold.add(id);
      shown = ids.length;
    }
    expect(told.size).toBe(5);
    expect([...untold]).toEqual([]);
  });

  it('lets go of the file when it can not be opened, so that the next try can', async () => {
    const away = storeWith(of().store, { head: () => Promise.reject(new Error('the store is away')) });
    await expect(of().open(away)).rejects.toThrow('the store is away');
    await of().caughtUp(await of().started());
  });

  it('keeps files that only their owner reads', async () => {
    await of().started();
    expect(['read-models.db', 'read-models.lock'].map((name) => statSync(join(of().dataDir, name)).mode & 0o777)).toEqual([0o600, 0o600]);
  });
});

describe('two projectors on one file', () => {
  it('refuses the second while the first lives', async () => {
    const first = await of().started();
    await expect(of().open()).rejects.toMatchObject({ name: 'ReadModelsInUse' });
    await of().close(first);
    await of().started();
  });

  it('refuses another process too', async () => {
    await of().started();
    const script = `import Database from 'better-sqlite3'; const db = new Database(process.argv[1], { timeout: 0 }); try { db.exec('BEGIN EXCLUSIVE'); console.log('held'); } catch (error) { console.log(error.code); }`;
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script, join(of().dataDir, 'read-models.lock')], { cwd: fileURLToPath(new URL('../..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
    await once(child, 'exit');
    expect(printed.trim()).toBe('SQLITE_BUSY');
  });
});

describe('what was folded', () => {
  const stored = (name = 'read-models.db'): unknown => {
    const file = new Database(join(of().dataDir, name), { readonly: true });
    const count = file.prepare('SELECT count(*) FROM events').pluck().get();
    file.close();
    return count;
  };
  const published = async (models: ReadModels): Promise<readonly string[]> => (await models.publishedIds({ site, before: null, limit: 10 })).map(({ eventId }) => eventId);

  it('is there at once for whoever asks, and in the file within a moment', async () => {
    const models = await of().started();
    await of().log.publish(site, 'e1');
    await of().caughtUp(models);
    expect(await published(models)).toEqual(['e1']);
    await eventually('a row in the file', () => stored() === 1 || undefined);
  });

  it('of several batches is written in one go, with how far it is', async () => {
    const file = new ModelFile(join(of().dataDir, 'read-models.db'), { historyDays: 30 });
    const positions: (string | undefined)[] = [];
    const look = (): unknown => positions.push(String(stored()), new Database(join(of().dataDir, 'read-models.db')).prepare<[], string>('SELECT max(position) FROM checkpoints').pluck().get());
    for (const eventId of ['e1', 'e2']) {
      const position = await of().log.publish(site, eventId);
      file.apply(of().memory.events.slice(-1), position);
      look();
    }
    file.write();
    look();
    expect(positions).toEqual(['0', 0, '0', 0, '2', 2]);
    file.close();
  });

  it('is folded again when the thread dies before it is written, and nobody is answered as of before', async () => {
    let letGo = (): void => undefined;
    const holding = { until: Promise.resolve() };
    const held = storeWith(of().store, {
      async *subscribe(...args) {
        await holding.until;
        yield* of().store.subscribe(...args);
      },
    });
    const models = await of().started(held);
    await of().log.publish(site, 'e1');
    await of().caughtUp(models);
    await eventually('a row in the file', () => stored() === 1 || undefined);
    const file = new Database(join(of().dataDir, 'read-models.db'));
    file.exec('DROP TABLE last_event');
    file.close();
    holding.until = new Promise((resolve) => (letGo = resolve));
    await of().log.publish(site, 'e2');
    await of().caughtUp(models);
    expect(await published(models)).toEqual(['e2', 'e1']);
    const head = await of().store.head();
    // While the file is opened again, too.
    const answers = new Set<string>();
    while (models.position('events') !== '1') {
      await models.waitFor(head, 1);
      await new Promise(setImmediate);
      answers.add(await published(models).then(String, (error: Error) => error.message.replace(/ died: .*/, ' died')));
    }
    await expect(published(models)).rejects.toThrow('folding again');
    expect([...answers].filter((answer) => !['e2,e1', 'the thread of the read models died'].includes(answer) && !answer.includes('folding again'))).toEqual([]);
    letGo();
    await of().caughtUp(models);
    expect(await published(models)).toEqual(['e2', 'e1']);
    expect(of().alarms).toEqual([{ alarm: 'read-models-failing', projection: null, detail: expect.stringContaining('died: SqliteError: no such table: last_event') }]);
    expect(await models.digest()).toEqual(of().digestOfRebuild());
  });

  it('far behind the head is in the file soon after the head is reached, also when nothing more is to be folded', async () => {
    for (let n = 0; n < 1_000; n += 1) await of().log.publish(site, `e${n}`);
    await of().store.append('sagacheckpoint-x', 'NO_STREAM', [{ id: '00000000-0000-4000-8000-000000000001', type: 'SagaCheckpointed', data: '{}', metadata: {} }]);
    await of().caughtUp(await of().started());
    await eventually('the rows in the file', () => stored() === 1_000 || undefined);
  });

  it('that SQLite takes back is noticed by whoever comes next, and its checkpoint does not move past it', async () => {
    await of().log.publish(site, 'e1');
    const file = new ModelFile(join(of().dataDir, 'x.db'), { historyDays: 30 });
    file.apply(of().memory.events, '1');
    file.show();
    file.database.exec('ROLLBACK');
    for (const use of [() => file.show(), () => file.write(), () => file.apply([], '2')]) expect(use).toThrow('took back');
    expect(file.database.prepare('SELECT DISTINCT position FROM checkpoints').pluck().all().map(String)).toEqual(['0']);
  });

  it('and can not be written when the file is closed ends the thread: it holds what is in no file', async () => {
    await of().log.publish(site, 'e1');
    const [thread, path] = [new ModelThread(), join(of().dataDir, 'x.db')];
    await thread.ask('open', { path, historyDays: 30 });
    const other = new Database(path);
    other.exec('DROP TABLE last_event');
    other.close();
    await thread.fold(of().memory.events, '1');
    await expect(thread.ask('close', {})).rejects.toThrow('no such table: last_event');
    expect(thread.dead).toBe(true);
    await thread.end();
  });

  it('waits, and loses nothing, while somebody else holds the file', async () => {
    await of().log.publish(site, 'e1');
    const file = new ModelFile(join(of().dataDir, 'x.db'), { historyDays: 30 });
    file.database.pragma('busy_timeout = 1');
    const other = new Database(join(of().dataDir, 'x.db'));
    other.exec('BEGIN IMMEDIATE');
    expect(() => file.begin()).toThrow('database is locked');
    expect(file.isAhead).toBe(false);
    other.exec('COMMIT');
    other.close();
    file.apply(of().memory.events, '1');
    file.close();
    expect(stored('x.db')).toBe(1);
  });
});

describe('a poison event', () => {
  const poison = (): Promise<string> => of().log.write(streamOf('webhooksubscription', site, 'whs_2'), { type: 'WebhookSubscriptionRenamed', data: {} });

  it('stops its projection there, keeps what came before it in the batch, and lets the others go on', async () => {
    await of().log.create(site, 'whs_1');
    const position = await poison();
    await of().log.create(site, 'whs_3');
    await of().log.publish(site, 'e1');
    const models = await of().started();
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect(await models.listSubscriptions({ site, includeDeleted: true, limit: 10 })).toMatchObject({ items: [{ id: 'whs_1' }] });
    const states = models.status().map(({ name, state }) => [name, state]);
    expect(states.filter(([, state]) => state === 'STOPPED')).toEqual([
      ['subscriptions', 'STOPPED'],
      ['missed-while-paused', 'STOPPED'],
    ]);
    expect(models.status().find(({ name }) => name === 'subscriptions')).toMatchObject({ position: String(Number(position) - 1), poison: { position, error: expect.stringContaining('WebhookSubscriptionRenamed') } });
    expect(models.position('events')).toBe(await of().store.head());
    expect(models.behindMs('events')).toBe(0);
    expect(models.behindMs('subscriptions')).toBeGreaterThan(0);
    expect(of().alarms.map(({ alarm, projection }) => [alarm, projection])).toEqual([
      ['projection-stopped', 'subscriptions'],
      ['projection-stopped', 'missed-while-paused'],
    ]);
    expect(await models.waitFor(await of().store.head(), 3_600_000)).toBe('behind');
  });

  it('takes back what the event itself had done already', async () => {
    await of().log.create(site, 'whs_1');
    const models = await of().caughtUp(await of().started());
    const digest = await models.digest();
    // The version before is ended first; the new one then has a pattern that is none.
    await of().log.subscription(site, 'whs_1', 'Updated', { eventPattern: 5, targetUrl: 'https://example.org', deliveryMode: 'ORDERED', description: null });
    await of().log.publish(site, 'e9');
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect(models.status().find(({ name }) => name === 'subscriptions')).toMatchObject({ state: 'STOPPED', poison: { error: "subscription_versions.eventPattern can't hold number" } });
    const after = await models.digest();
    expect(after.tables['subscription_versions']).toBe(digest.tables['subscription_versions']);
    expect(after.tables['events']).not.toBe(digest.tables['events']);
  });

  it('is tried again at the next start, and stops it at the same place', async () => {
    await of().log.create(site, 'whs_1');
    const position = await poison();
    await of().log.create(site, 'whs_3');
    await of().close(await stoppedAt(position));
    await of().log.publish(site, 'e1');
    await stoppedAt(position);
  });
  const stoppedAt = async (position: string) => {
    const models = await of().started();
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect(models.status().find(({ name }) => name === 'subscriptions')).toMatchObject({ state: 'STOPPED', poison: { position } });
    return models;
  };

  it('tells nothing of the data it could not read', async () => {
    await of().log.write(streamOf('webhooksubscription', site, 'whs_1'), { type: 'WebhookSubscriptionCreated', data: 'whsec_canary' });
    const models = await of().started();
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect(models.status().find(({ name }) => name === 'subscriptions')?.poison?.error).toBe('its data is not JSON');
    expect(JSON.stringify(of().alarms)).not.toContain('canary');
  });

  it('is an event whose fields can not be stored, too', async () => {
    await of().log.write(streamOf('apikey', site, 'key_1'), { type: 'ApiKeyCreated', data: { scopes: [], actor: null, anyActor: true, defaultActor: null, owner: null, expiresOn: 'never', keySha256: 'h' } });
    const models = await of().started();
    await models.waitFor(await of().store.head(), 5_000, ['events']);
    expect(models.status().find(({ name }) => name === 'api-keys')?.poison?.error).toBe("api_keys.name can't hold undefined");
  });
});

describe('waiting for a position', () => {
  it('is reached by an event that concerns no read model, too', async () => {
    const models = await of().started();
    await of().log.create(site, 'whs_1');
    const position = await of().log.write('sagacheckpoint-fan-out', { type: 'SagaCheckpointed', data: {} });
    expect(await models.waitFor(position, 5_000)).toBe('reached');
  });

  it('is behind when time is up', async () => {
    const models = await of().started();
    expect(await models.waitFor('5', 30)).toBe('behind');
  });

  it('ends with the signal, and when one projection is there', async () => {
    const models = await of().started();
    await models.reached('subscriptions', await of().log.create(site, 'whs_1'), AbortSignal.timeout(5_000));
    const over = new AbortController();
    const waiting = models.reached('subscriptions', '99', over.signal);
    over.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});

describe('a process that is killed', () => {
  it.each([
    [1, 2],
    [1, 12],
    [2, 6],
  ])('after %i writes and %i ms, in the middle of a batch, leaves rows and checkpoints both old or both new', async (writes, afterMs) => {
    const store = await openSqliteEventStore({ dataDir: of().dataDir });
    const log = new History(store);
    await log.create(site, 'whs_1');
    for (let n = 0; n < 5_000; n += 500) {
      await Promise.all(
        Array.from({ length: 500 }, async (_, index) => {
          await log.publish(site, `e${n + index}`);
          await log.schedule(site, `e${n + index}`, 'whs_1', incarnation);
        }),
      );
    }
    const all: RecordedEvent[] = [];
    for (let from = '0'; ; ) {
      const batch = await store.readAll(from, undefined, 1_000);
      all.push(...batch.events);
      if (batch.caughtUp) break;
      from = batch.position;
    }
    await store.close();

    const program = fileURLToPath(new URL('../../test/support/read-models-process.ts', import.meta.url));
    const child = spawn(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', program, of().dataDir, String(writes), String(afterMs)], { stdio: 'inherit' });
    await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');

    const found = new ModelFile(join(of().dataDir, 'read-models.db'), { historyDays: 30 });
    const reached = found.standings().map(({ position }) => position);
    const digest = found.digest();
    found.close();
    expect(new Set(reached).size).toBe(1);
    expect(Number(reached[0])).toBeGreaterThan(0);
    expect(Number(reached[0])).toBeLessThan(all.length);
    expect(digest).toEqual(digestOf(of().dataDir, all.filter(({ position }) => Number(position) <= Number(reached[0]))));
  });
});
