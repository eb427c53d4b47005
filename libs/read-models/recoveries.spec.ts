import { describe, expect, it, jest } from '@jest/globals';
import { isRefusal, type Position, type Site, streamOf } from '#kernel';
import type { DeliverySelection, ReadModels, Selection } from '#read-models';
import { readModelsFixture } from '../../test/support/read-models.ts';

const site: Site = { tenant: 't', environment: 'production' };
const other: Site = { tenant: 't', environment: 'staging' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const hourMs = 3_600_000;
const of = readModelsFixture();
jest.setTimeout(30_000);

const everything = { site, subscriptionId: 'whs_1', incarnation, sinceMs: 0, untilMs: Infinity, after: '0', through: '1000000', limit: 500 };
const everyDelivery: DeliverySelection = { ...everything, statuses: ['SCHEDULED', 'DELIVERED', 'DEAD_LETTERED', 'CANCELLED'], openedAfter: null };

async function schedule(name: string): Promise<string> {
  await of().log.pass(1_000).publish(site, name);
  return await of().log.schedule(site, name, 'whs_1', incarnation);
}
const caughtUp = async (): Promise<ReadModels> => of().caughtUp(await of().started());

async function started(id: string, subscriptionId: string, where = site): Promise<string> {
  const data = { subscriptionId, incarnation, since: '2026-01-01T00:00:00.000Z', until: '2026-01-02T00:00:00.000Z', statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100 };
  return await of().log.pass(1_000).write(streamOf('recovery', where, id), { type: 'WebhookRecoveryStarted', data }, of().log.receipt('RecoverWebhookDeliveries', id, 1));
}

describe('the list of recoveries', () => {
  it('is newest first, within the site, by subscription and status, in pages', async () => {
    for (let n = 1; n <= 12; n += 1) await started(`rec_${n}`, n % 2 === 0 ? 'whs_even' : 'whs_odd');
    await started('rec_x', 'whs_even', other);
    await of().log.write(streamOf('recovery', site, 'rec_2'), { type: 'WebhookRecoveryProgressed', data: { cursor: { part: 'DELIVERIES', position: '5' }, total: 9, recovered: 3, skipped: 1 } });
    await of().log.write(streamOf('recovery', site, 'rec_2'), { type: 'WebhookRecoveryFinished', data: { total: 9, recovered: 8, skipped: 1, detail: null } });
    await of().log.write(streamOf('recovery', site, 'rec_4'), { type: 'WebhookRecoveryCancelled', data: {} }, of().log.receipt('CancelWebhookRecovery', 'rec_4', 2));
    const models = await caughtUp();
    const ids = async (list: Omit<Parameters<ReadModels['listRecoveries']>[0], 'site' | 'limit'>): Promise<readonly string[]> => {
      const page = await models.listRecoveries({ site, limit: 5, ...list });
      if (isRefusal(page)) throw new Error(page.detail);
      return page.nextCursor === null ? page.items.map(({ id }) => id) : [...page.items.map(({ id }) => id), ...(await ids({ ...list, cursor: page.nextCursor }))];
    };
    expect(await ids({})).toEqual([12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1].map((n) => `rec_${n}`));
    expect(await ids({ subscriptionId: 'whs_even' })).toEqual([12, 10, 8, 6, 4, 2].map((n) => `rec_${n}`));
    expect(await ids({ status: 'RUNNING', subscriptionId: 'whs_even' })).toEqual([12, 10, 8, 6].map((n) => `rec_${n}`));
    const finished = await models.listRecoveries({ site, limit: 5, status: 'FINISHED' });
    expect(finished).toEqual({
      nextCursor: null,
      items: [
        {
          id: 'rec_2', siteId: 't', subscriptionId: 'whs_even', status: 'FINISHED', since: '2026-01-01T00:00:00.000Z', until: '2026-01-02T00:00:00.000Z', statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100,
          total: 9, recovered: 8, skipped: 1, requestedBy: { type: 'USER', id: 'ann' }, createdAt: '2026-01-01T00:00:02.000Z', updatedAt: '2026-01-01T00:00:13.000Z', finishedAt: '2026-01-01T00:00:13.000Z', detail: null,
        },
      ],
    });
    expect(isRefusal(await models.listRecoveries({ site, limit: 5, cursor: 'x' }))).toBe(true);
  });
});

describe('the deliveries a recovery selects', () => {
  it('are of the statuses asked for, in log order; what was cancelled and is not open any more counts as cancelled', async () => {
    const { log } = of();
    await log.create(site, 'whs_1');
    const pendingBefore = await schedule('e1');
    const scheduledBefore = await schedule('e2');
    await log.attempt(site, scheduledBefore, 'AttemptFailed');
    const dead = await schedule('e3');
    await log.attempt(site, dead, 'DeadLettered');
    await log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    await log.subscription(site, 'whs_1', 'Restored');
    await schedule('e4');
    const scheduled = await schedule('e5');
    await log.attempt(site, scheduled, 'AttemptFailed');
    const delivered = await schedule('e6');
    await log.attempt(site, delivered, 'Succeeded');
    await log.publish(site, 'e7');
    await log.schedule(site, 'e7', 'whs_1', 'another incarnation');
    await log.schedule(site, 'e7', 'whs_2', incarnation);
    const models = await caughtUp();
    const select = async (...statuses: DeliverySelection['statuses']): Promise<readonly string[]> => (await models.selectDeliveries({ ...everyDelivery, statuses })).items.map(({ deliveryId }) => deliveryId);
    expect(await select('DEAD_LETTERED')).toEqual([dead]);
    expect(await select('SCHEDULED')).toEqual([scheduled]);
    expect(await select('DELIVERED')).toEqual([delivered]);
    expect(await select('CANCELLED')).toEqual([pendingBefore, scheduledBefore]);
    expect(await select('SCHEDULED', 'DELIVERED', 'DEAD_LETTERED', 'CANCELLED')).toEqual([pendingBefore, scheduledBefore, dead, scheduled, delivered]);
    expect(await select()).toEqual([]);
  });

  it('are those scheduled from one time on and before the other, in a range of the log', async () => {
    const { log } = of();
    await log.create(site, 'whs_1');
    const dead = async (name: string): Promise<{ readonly id: string; readonly atMs: number; readonly position: Position }> => {
      const id = await schedule(name);
      return { id, atMs: log.nowMs, position: await log.attempt(site, id, 'DeadLettered') };
    };
    const [first, second, third, fourth] = [await dead('e1'), await dead('e2'), await dead('e3'), await dead('e4'), await dead('e5')];
    const models = await caughtUp();
    const select = async (more: Partial<DeliverySelection>): Promise<readonly string[]> => (await models.selectDeliveries({ ...everyDelivery, ...more })).items.map(({ deliveryId }) => deliveryId);
    expect(await select({ sinceMs: second.atMs, untilMs: fourth.atMs })).toEqual([second.id, third.id]);
    expect(await select({ after: first.position, through: fourth.position })).toEqual([second.id, third.id, fourth.id]);
  });

  it('come in pages that go on where the one before ended, however the statuses lie among each other', async () => {
    const { log } = of();
    await log.create(site, 'whs_1');
    const wanted: string[] = [];
    for (let n = 0; n < 30; n += 1) {
      const id = await schedule(`e${n}`);
      await log.attempt(site, id, (['DeadLettered', 'Succeeded', 'AttemptFailed'] as const)[Math.floor(n / 3) % 3] ?? 'Succeeded');
      if (Math.floor(n / 3) % 3 !== 1) wanted.push(id);
    }
    const models = await caughtUp();
    const selected: string[] = [];
    for (let after = '0', n = 0; after !== everything.through; n += 1) {
      const page = await models.selectDeliveries({ ...everyDelivery, statuses: ['DEAD_LETTERED', 'SCHEDULED'], after, limit: 4 });
      expect(page.items.length).toBeLessThanOrEqual(4);
      expect(n).toBeLessThan(10);
      selected.push(...page.items.map(({ deliveryId }) => deliveryId));
      after = page.through;
    }
    expect(selected).toEqual(wanted);
  });

  it('are looked for a bounded number of rows at a time: a page may be empty although more follow', async () => {
    const { log } = of();
    await log.create(site, 'whs_1');
    for (let n = 0; n < 2_100; n += 1) await log.attempt(site, await schedule(`e${n}`), 'Succeeded');
    const last = await schedule('last');
    const models = await caughtUp();
    const page = await models.selectDeliveries({ ...everyDelivery, sinceMs: log.nowMs, statuses: ['DELIVERED'], openedAfter: '0' });
    expect(page.items).toEqual([]);
    expect(Number(page.through)).toBeLessThan(Number(everything.through));
    const next = await models.selectDeliveries({ ...everyDelivery, sinceMs: log.nowMs, statuses: ['DELIVERED'], openedAfter: '0', after: page.through });
    expect(next).toMatchObject({ items: [{ deliveryId: last }], through: everything.through });
  });

  it('hold what was replayed after a place, whatever became of it: a job must know its own after a crash', async () => {
    const { log } = of();
    await log.create(site, 'whs_1');
    const [long, ago, since] = [await schedule('e1'), await schedule('e2'), await schedule('e3')];
    for (const id of [long, ago, since]) await log.attempt(site, id, 'DeadLettered');
    await log.replay(site, ago);
    const place = await log.attempt(site, ago, 'Succeeded', 2);
    await log.replay(site, since);
    await log.attempt(site, since, 'Succeeded', 2);
    const models = await caughtUp();
    const select = async (openedAfter: Position | null): Promise<readonly string[]> => (await models.selectDeliveries({ ...everyDelivery, statuses: ['DEAD_LETTERED'], openedAfter })).items.map(({ deliveryId }) => deliveryId);
    expect(await select(null)).toEqual([long]);
    expect(await select(place)).toEqual([long, since]);
  });
});

describe('the stretch of the log that belongs to a stretch of time', () => {
  it('leaves out what is surely older or younger, and nothing that is not', async () => {
    const { log } = of();
    const made: { readonly atMs: number; readonly position: Position }[] = [];
    for (let n = 0; n < 60; n += 1) {
      // The clock is set back by nearly an hour now and then.
      log.pass(n % 3 === 2 ? -0.9 * hourMs : 0.7 * hourMs);
      await log.publish(other, `x${n}`);
      made.push({ position: await log.publish(site, `e${n}`), atMs: log.nowMs });
    }
    const head = await of().store.head();
    const models = await caughtUp();
    for (const [from, { atMs: sinceMs }] of made.entries()) {
      const untilMs = made[from + 3]?.atMs ?? Infinity;
      const { after, through } = await models.recordedWithin({ site, sinceMs, untilMs, after: '0', through: head });
      const wanted = made.filter(({ atMs }) => atMs >= sinceMs && atMs < untilMs).map(({ position }) => Number(position));
      const kept = made.filter(({ position }) => Number(position) > Number(after) && Number(position) <= Number(through));
      expect([from, wanted.filter((position) => position <= Number(after) || position > Number(through))]).toEqual([from, []]);
      expect(kept.length).toBeLessThanOrEqual(wanted.length + 24);
    }
  });

  it('goes to the end of the range when nothing is younger, and is the whole range of a site without events', async () => {
    const { log } = of();
    const position = await log.publish(site, 'e1');
    const models = await caughtUp();
    expect(await models.recordedWithin({ site, sinceMs: log.nowMs, untilMs: log.nowMs + 1, after: '0', through: '50' })).toEqual({ after: '0', through: '50' });
    expect(await models.recordedWithin({ site, sinceMs: log.nowMs + 2 * hourMs, untilMs: log.nowMs + 3 * hourMs, after: '0', through: '50' })).toEqual({ after: position, through: '50' });
    expect(await models.recordedWithin({ site: other, sinceMs: 0, untilMs: 1, after: '3', through: '50' })).toEqual({ after: '3', through: '50' });
  });
});

describe('the events a subscription missed', () => {
  it('are those of its pauses that its pattern of then matches, of the stretch of time, in pages', async () => {
    const { log } = of();
    await log.create(site, 'whs_1', { eventPattern: 'version.*' });
    const settings = (eventPattern: string, more: object = {}): object => ({ ...more, eventPattern, targetUrl: 'https://example.org/hook', deliveryMode: 'AT_LEAST_ONCE', description: null });
    const publish = async (name: string): Promise<void> => {
      await log.pass(1_000).publish(site, `${name}-v`, 'version.published');
      await log.publish(site, `${name}-c`, 'claim.made');
      await log.publish(site, `${name}-o`, 'webhook.subscription.paused', true);
      await log.publish(other, `${name}-v`, 'version.published');
    };
    await publish('active');
    await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
    await publish('first');
    const secondMs = log.nowMs;
    await log.subscription(site, 'whs_1', 'Updated', settings('**,webhook.**', { filter: 'data.a > 1' }));
    await publish('second');
    await log.subscription(site, 'whs_1', 'Resumed');
    await publish('resumed');
    await log.subscription(site, 'whs_1', 'Updated', settings('claim.*'));
    await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
    await publish('third');
    await log.subscription(site, 'whs_1', 'Deleted', { purgeAt: '2026-02-01T00:00:00.000Z' });
    await publish('deleted');
    const models = await caughtUp();
    const select = async (more: Partial<Selection> = {}): Promise<readonly string[]> => {
      const names: string[] = [];
      for (let after = '0'; after !== everything.through; ) {
        const page = await models.selectMissed({ ...everything, ...more, after });
        names.push(...page.items.map(({ stream }) => stream.slice(stream.lastIndexOf('.') + 1)));
        after = page.through;
      }
      return names;
    };
    const all = ['first-v', 'second-v', 'second-c', 'second-o', 'third-c'];
    expect(await select()).toEqual(all);
    expect(await select({ limit: 2 })).toEqual(all);
    expect(await select({ sinceMs: secondMs + 1, untilMs: secondMs + 1_001 })).toEqual(['second-v', 'second-c', 'second-o']);
    expect(await select({ incarnation: 'another' })).toEqual([]);
    expect(await select({ site: other })).toEqual([]);
    expect((await models.selectMissed(everything)).items.map(({ filter }) => filter)).toEqual([null, 'data.a > 1', 'data.a > 1', 'data.a > 1', null]);
  });
});
