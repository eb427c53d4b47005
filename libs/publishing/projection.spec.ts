import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import type { Site } from '#kernel';
import { History } from '../../test/support/history.ts';
import { folded } from '../../test/support/map-rows.ts';
import { eventCountTable, missedProjection, missedSoFar, missedTable } from './missed.ts';
import { eventProjection, eventTable } from './projection.ts';

const site: Site = { tenant: 't', environment: 'production' };
const other: Site = { tenant: 't', environment: 'staging' };

const given = async (write: (log: History) => Promise<unknown>): Promise<MemoryLog> => {
  const memory = new MemoryLog();
  await write(new History(createMemoryEventStore(memory)));
  return memory;
};

const missedIn = async (write: (log: History) => Promise<unknown>): Promise<number | undefined> => {
  const rows = folded(missedProjection, (await given(write)).events);
  const row = rows.all(missedTable)[0];
  return row === undefined ? undefined : missedSoFar(row, rows.list(eventCountTable, [site.tenant, site.environment]));
};

describe('the projection of events', () => {
  it('keeps what was published where, without the data', async () => {
    const { events } = await given((log) => log.publish(site, 'E/1'));
    expect(folded(eventProjection, events).all(eventTable)).toMatchObject([{ tenant: 't', environment: 'production', eventId: 'E/1', type: 'version.published', position: '1', operational: 0 }]);
  });
});

describe('what a paused subscription missed', () => {
  it('is what matched and was published in its site between pause and resume', async () => {
    const missed = await missedIn(async (log) => {
      await log.publish(site, 'before');
      await log.create(site, 'whs_1', { eventPattern: 'version.*' });
      await log.publish(site, 'active');
      await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
      await log.publish(site, 'e1');
      await log.publish(site, 'e2', 'claim.opened');
      await log.publish(other, 'e3');
      await log.publish(site, 'e4', 'version.retired');
      await log.subscription(site, 'whs_1', 'Resumed');
      await log.publish(site, 'after');
    });
    expect(missed).toBe(2);
  });

  it('grows while the pause lasts, and begins anew with the next one', async () => {
    const paused = async (log: History): Promise<void> => {
      await log.create(site, 'whs_1', { status: 'PAUSED' });
      await log.publish(site, 'e1');
      await log.publish(site, 'e2');
    };
    expect(await missedIn(paused)).toBe(2);
    const again = await missedIn(async (log) => {
      await paused(log);
      await log.subscription(site, 'whs_1', 'Resumed');
      await log.subscription(site, 'whs_1', 'Paused', { reason: 'requested' });
      await log.publish(site, 'e3');
    });
    expect(again).toBe(1);
  });

  it('counts by the pattern that held when each was published', async () => {
    const missed = await missedIn(async (log) => {
      await log.create(site, 'whs_1', { status: 'PAUSED', eventPattern: 'a.*' });
      await log.publish(site, 'e1', 'a.x');
      await log.publish(site, 'e2', 'b.x');
      await log.subscription(site, 'whs_1', 'Updated', { eventPattern: 'b.*', targetUrl: 'https://example.org', deliveryMode: 'AT_LEAST_ONCE', description: null });
      await log.publish(site, 'e3', 'a.x');
      await log.publish(site, 'e4', 'b.x');
    });
    expect(missed).toBe(2);
  });

  it('leaves operational events to patterns that name them', async () => {
    const missed = async (eventPattern: string): Promise<number | undefined> =>
      missedIn(async (log) => {
        await log.create(site, 'whs_1', { status: 'PAUSED', eventPattern });
        await log.publish(site, 'e1', 'approval.requested', true);
      });
    expect([await missed('**'), await missed('approval.*')]).toEqual([0, 1]);
  });
});
