import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Site, streamOf } from '#kernel';
import { History } from '../../test/support/history.ts';
import { folded } from '../../test/support/map-rows.ts';
import { attemptTable, deliveryProjection, deliveryTable, subscriptionHealthTable } from './projection.ts';
import { transcriptProjection, transcriptTable } from './transcript-projection.ts';

const site: Site = { tenant: 't', environment: 'production' };

const given = async (write: (log: History) => Promise<unknown>) => {
  const memory = new MemoryLog();
  const log = new History(createMemoryEventStore(memory));
  await write(log);
  const rows = folded(deliveryProjection, memory.events);
  return { log, memory, deliveries: rows.all(deliveryTable), attempts: rows.all(attemptTable), health: rows.all(subscriptionHealthTable) };
};

describe('the projection of deliveries', () => {
  it('has a time of its next attempt only while it waits for a retry', async () => {
    const times: (number | null | undefined)[] = [];
    for (const steps of [0, 1, 2]) {
      const { log, deliveries } = await given(async (writing) => {
        const id = await writing.schedule(site, 'e1', 'whs_1', 'i1');
        if (steps > 0) await writing.attempt(site, id, 'AttemptFailed');
        if (steps > 1) await writing.attempt(site, id, 'Succeeded', 2);
      });
      const next = deliveries[0]?.nextAttemptAtMs;
      times.push(typeof next === 'number' ? next - log.nowMs : next);
    }
    expect(times).toEqual([null, 5_000, null]);
  });

  it('knows the revision of the stream, receipts included, and when it was opened again', async () => {
    const { deliveries } = await given(async (log) => {
      const id = await log.schedule(site, 'e1', 'whs_1', 'i1');
      await log.attempt(site, id, 'DeadLettered');
      await log.replay(site, id);
    });
    expect(deliveries).toMatchObject([{ status: 'PENDING', revision: 3, attempts: 1, lastChance: 1, scheduledPosition: '1', openedPosition: '3', reason: null }]);
  });

  it('keeps every request that was recorded, also two of the same attempt', async () => {
    const { attempts, deliveries } = await given(async (log) => {
      const id = await log.schedule(site, 'e1', 'whs_1', 'i1');
      await log.attempt(site, id, 'Succeeded');
      await log.attempt(site, id, 'DuplicateAttempted');
    });
    expect(attempts.map(({ type, revision }) => [type, revision])).toEqual([
      ['WebhookDeliverySucceeded', 1],
      ['WebhookDeliveryDuplicateAttempted', 2],
    ]);
    expect(deliveries).toMatchObject([{ status: 'DELIVERED', attempts: 2 }]);
  });

  it('counts consecutive failures since the last success, per incarnation, and leaves out requests that changed nothing', async () => {
    const { health, log } = await given(async (writing) => {
      const first = await writing.schedule(site, 'e1', 'whs_1', 'i1');
      await writing.attempt(site, first, 'Succeeded');
      const second = await writing.pass(1000).schedule(site, 'e2', 'whs_1', 'i1');
      await writing.attempt(site, second, 'AttemptFailed');
      await writing.attempt(site, second, 'DuplicateAttempted', 1, { status: 500 });
      await writing.pass(1000).attempt(site, second, 'DeadLettered', 2);
      const other = await writing.schedule(site, 'e3', 'whs_1', 'i2');
      await writing.attempt(site, other, 'Succeeded');
    });
    expect(health).toMatchObject([
      { incarnation: 'i1', consecutiveFailures: 2, lastSuccessAtMs: log.nowMs - 2000, firstFailureAtMs: log.nowMs - 1000 },
      { incarnation: 'i2', consecutiveFailures: 0, firstFailureAtMs: null },
    ]);
  });

  it('makes nothing of what happens to a delivery that is history already', async () => {
    const { deliveries, attempts } = await given((log) => log.attempt(site, 'dlv_gone', 'Succeeded'));
    expect([deliveries, attempts]).toEqual([[], []]);
  });

  it('stops at a type it does not know, and at an outcome that is none', async () => {
    await expect(given((log) => log.write(streamOf('webhookdelivery', site, 'dlv_1'), { type: 'WebhookDeliveryLost', data: {} }))).rejects.toThrow('WebhookDeliveryLost at 1');
    await expect(given((log) => log.write(streamOf('webhookdelivery', site, 'dlv_1'), { type: 'WebhookDeliveryScheduled', data: 'no json' }))).rejects.toThrow(SyntaxError);
  });
});

describe('the projection of transcripts', () => {
  it('keeps where each stands in its batch', async () => {
    const { memory } = await given((log) =>
      log.write('transcript-20260101.3', { type: 'WebhookTranscriptsRecorded', data: { transcripts: [{ deliveryId: 'dlv_1', attempt: 1 }, { deliveryId: 'dlv_2', attempt: 4 }] } }),
    );
    expect(folded(transcriptProjection, memory.events).all(transcriptTable)).toMatchObject([
      { deliveryId: 'dlv_1', attempt: 1, stream: 'transcript-20260101.3', revision: 0, ordinal: 0 },
      { deliveryId: 'dlv_2', attempt: 4, ordinal: 1 },
    ]);
  });

  it('takes the list of their attempts for that, where there is one, and reads no transcript', async () => {
    const listed = (attempts: string) => given((log) => log.write('transcript-20260101.3', { type: 'WebhookTranscriptsRecorded', data: 'whatever', metadata: { attempts } }));
    const { memory } = await listed('dlv_1:1,dlv_2:4');
    expect(folded(transcriptProjection, memory.events).all(transcriptTable)).toMatchObject([
      { deliveryId: 'dlv_1', attempt: 1, ordinal: 0 },
      { deliveryId: 'dlv_2', attempt: 4, ordinal: 1 },
    ]);
    for (const wrong of ['', 'dlv_1', ':1', 'dlv_1:0', 'dlv_1:1,']) {
      const { memory: other } = await listed(wrong);
      expect(() => folded(transcriptProjection, other.events)).toThrow('its list of attempts is of another form');
    }
  });
});
