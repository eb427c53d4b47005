import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { formatInstant, type Position, type Site, startOfLog } from '#kernel';
import { TestLog } from '../../test/support/log.ts';
import { simulatedClock, simulatedStart } from '../../test/support/simulated-clock.ts';
import { through } from '../../test/support/governed-world.ts';
import type { AuditEvent } from './audit-event.ts';
import { eventsPerRead, positionBefore, readRecord, type RecordLog, readsPerPage } from './record.ts';
import type { RecordFilter } from './record-filter.ts';

const acme: Site = { tenant: 'acme', environment: 'production' };
const other: Site = { tenant: 'acme', environment: 'staging' };
const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Every page, one after the other. */
async function everyPage(log: RecordLog, filter: RecordFilter = {}, limit = 2, site = acme): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = [];
  let after: Position | null = null;
  for (let pages = 0; pages < 500; pages += 1) {
    const page = await readRecord(log, site, filter, { after, limit });
    expect(page.events.length).toBeLessThanOrEqual(limit);
    events.push(...page.events);
    if (page.next === null) return events;
    after = page.next;
  }
  throw new Error('the pages never end');
}

const ids = (events: readonly AuditEvent[]): readonly string[] => events.map(({ resourceId, type }) => `${resourceId} ${type}`);

function world() {
  const clock = simulatedClock();
  const log = new TestLog(clock);
  const changed = (id: string, type: string, metadata = {}, site = acme) => log.appendWith(`webhooksubscription-${site.tenant}.${site.environment}.${id}`, metadata, { type, data: {} });
  return { clock, log, changed };
}

describe('a page of the record', () => {
  it('has every event of the site once, oldest first, whatever the size of the page, and nothing of another site', async () => {
    const { log, changed } = world();
    for (const n of [1, 2, 3, 4, 5]) {
      await changed(`s${n}`, 'A');
      await changed(`t${n}`, 'A', {}, other);
      await log.append(`signingsecret-acme.production.sec_${n}`, { type: 'SigningSecretStored', data: {} });
      await log.publish(acme, `e${n}`, 'a.b');
    }
    const all = await everyPage(log.store, {}, 500);
    expect(ids(all)).toEqual([1, 2, 3, 4, 5].flatMap((n) => [`s${n} A`, `e${n} EventPublished`]));
    for (const limit of [1, 3, 10]) expect(await everyPage(log.store, {}, limit)).toEqual(all);
    expect(ids(await everyPage(log.store, {}, 10, other))).toEqual([1, 2, 3, 4, 5].map((n) => `t${n} A`));
  });

  it('is of one actor, command type or correlation, when asked for', async () => {
    const { log, changed } = world();
    await changed('a', 'A', { actortype: 'USER', actorid: 'Sam', commandtype: 'PauseWebhookSubscription', correlationid: 'c1' });
    await changed('b', 'B', { actortype: 'USER', actorid: 'kim', commandtype: 'PauseWebhookSubscription', correlationid: 'c1' });
    await changed('c', 'C', { actortype: 'SERVICE', actorid: 'sam', commandtype: 'ResumeWebhookSubscription', correlationid: 'c2' });
    expect(ids(await everyPage(log.store, { actor: { type: 'USER', id: 'sam' } }))).toEqual(['a A']);
    expect(ids(await everyPage(log.store, { commandType: 'PauseWebhookSubscription' }))).toEqual(['a A', 'b B']);
    expect(ids(await everyPage(log.store, { correlationId: 'c1', actor: { type: 'USER', id: 'kim' } }))).toEqual(['b B']);
  });

  it('looks at a bounded number of events, and says where to go on although it found nothing', async () => {
    const log = new MemoryLog();
    const store = createMemoryEventStore(log);
    const many = readsPerPage * eventsPerRead + 1;
    log.events = Array.from({ length: many }, (_, index) => ({ position: String(index + 1), stream: `event-acme.production.e${index}`, revision: 0, id: '', type: 'EventPublished', data: '{}', metadata: { recordedat: formatInstant(simulatedStart), correlationid: String(index) } }));
    log.head = many;
    let reads = 0;
    const counting = { ...through(store), readAll: (...args: Parameters<typeof store.readAll>) => { reads += 1; return store.readAll(...args); } };
    const filter = { correlationId: String(many - 1) };
    const first = await readRecord(counting, acme, filter, { after: null, limit: 50 });
    expect([first.events.length, first.next, reads]).toEqual([0, String(many - 1), readsPerPage]);
    const second = await readRecord(counting, acme, filter, { after: first.next, limit: 50 });
    expect([second.events.length, second.next]).toEqual([1, null]);
  });

  it('ends after 4 MiB of data, however many events were asked for', async () => {
    const { log } = world();
    for (const n of [1, 2, 3, 4]) await log.append(`event-acme.production.e${n}`, { type: 'EventPublished', data: { text: 'x'.repeat(3 * 1024 * 1024 - 1024 * 1024 * 2.5) } });
    expect((await readRecord(log.store, acme, {}, { after: null, limit: 50 })).events).toHaveLength(4);
    for (const n of [5, 6, 7, 8, 9, 10]) await log.append(`event-acme.production.e${n}`, { type: 'EventPublished', data: { text: 'x'.repeat(700 * 1024) } });
    const page = await readRecord(log.store, acme, {}, { after: null, limit: 50 });
    expect([page.events.length < 10, page.next !== null]).toEqual([true, true]);
    expect(await everyPage(log.store, {}, 50)).toHaveLength(10);
  });
});

describe('the record of one resource', () => {
  it('has the events of its streams and the refusals about it, without a scan of the record', async () => {
    const { log, changed } = world();
    for (let n = 0; n < 20; n += 1) {
      await changed('orders', `A${n}`);
      await changed('orders2', 'X');
      if (n % 5 === 0) await log.append(`refusal-acme.production.ref_${n}`, { type: 'CommandRefused', data: { resourceId: n === 0 ? 'orders2' : 'orders' } });
    }
    const wanted = [...Array(20).keys()].flatMap((n) => [`orders A${n}`, ...(n % 5 === 0 && n > 0 ? ['orders CommandRefused'] : [])]);
    let scans = 0;
    const narrow = { ...through(log.store), readAll: (...args: Parameters<typeof log.store.readAll>) => { scans += Number(args[1]?.prefixes.some((prefix) => !prefix.startsWith('refusal-')) ?? true); return log.store.readAll(...args); } };
    for (const limit of [1, 2, 3, 7, 500]) expect(ids(await everyPage(narrow, { resourceId: 'orders' }, limit))).toEqual(wanted);
    expect(scans).toBe(0);
  });

  it('is in order and has each event once, also where one read does not reach the end of a stream', async () => {
    const { log } = world();
    const stream = 'webhooksubscription-acme.production.orders';
    const changes = (type: string) => Array.from({ length: eventsPerRead - 100 }, () => ({ type, data: {} }));
    const correlated = { correlationid: 'wanted' };
    const refused = (id: string) => log.appendWith(`refusal-acme.production.${id}`, correlated, { type: 'CommandRefused', data: { resourceId: 'orders' } });
    await log.append(stream, ...changes('A'));
    await refused('ref_1');
    await log.appendWith(stream, correlated, ...changes('B'));
    await refused('ref_2');
    const found = await everyPage(log.store, { resourceId: 'orders', correlationId: 'wanted' }, 500);
    const positions = log.log.events.map(({ position }) => position);
    expect(found.map(({ position }) => position)).toEqual(positions.slice(eventsPerRead - 100));
  });

  it('finds a published event by its id and a policy by its command type', async () => {
    const { log } = world();
    await log.publish(acme, 'Order/7', 'a.b');
    await log.append('approvalpolicy-acme.production.pausewebhooksubscription', { type: 'ApprovalPolicySet', data: {} });
    expect(ids(await everyPage(log.store, { resourceId: 'Order/7' }))).toEqual(['Order/7 EventPublished']);
    expect(ids(await everyPage(log.store, { resourceId: 'PauseWebhookSubscription' }))).toEqual(['PauseWebhookSubscription ApprovalPolicySet']);
    expect(await everyPage(log.store, { resourceId: 'what\u0000ever' })).toEqual([]);
  });
});

describe('the record of one approval', () => {
  it('has its own events, its use or its fence on the resource, and refused attempts to use it', async () => {
    const { log, changed } = world();
    const approval = 'approval-acme.production.apr_1';
    const data = { binding: { commandType: 'PauseWebhookSubscription', resourceId: 'orders' } };
    await log.append(approval, { type: 'ApprovalRequested', data });
    await log.append('refusal-acme.production.ref_1', { type: 'CommandRefused', data: { resourceId: 'orders', approvalId: 'apr_1' } });
    await log.append('refusal-acme.production.ref_2', { type: 'CommandRefused', data: { resourceId: 'orders', approvalId: null } });
    await changed('orders', 'WebhookSubscriptionResumed');
    await changed('orders', 'WebhookSubscriptionPaused', { approvalid: 'apr_1' });
    await log.append('webhooksubscription-acme.production.orders', { type: 'ApprovalConsumed', data: { approvalId: 'apr_1' } }, { type: 'ApprovalConsumed', data: { approvalId: 'apr_2' } });
    await log.append(approval, { type: 'ApprovalUseMirrored', data: {} });
    expect((await everyPage(log.store, { approvalId: 'apr_1' })).map(({ type }) => type)).toEqual(['ApprovalRequested', 'CommandRefused', 'WebhookSubscriptionPaused', 'ApprovalConsumed', 'ApprovalUseMirrored']);
    expect(await everyPage(log.store, { approvalId: 'apr_3' })).toEqual([]);
    expect(await everyPage(log.store, { approvalId: 'no id' })).toEqual([]);
  });
});

describe('since and until', () => {
  it('take every event in the window, both ends included, also when the clock went back by less than an hour', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: -30, max: 90 }), { minLength: 1, maxLength: 40 }), fc.integer({ min: -5, max: 45 }), fc.nat(20), async (steps, from, length) => {
        const { clock, log, changed } = world();
        // However it jumps, it is never more than 50 minutes behind a clock that only goes forward.
        for (const [index, step] of steps.entries()) {
          clock.setNow(simulatedStart + index * 30 * minuteMs + (step - 40) * (25 / 50) * minuteMs);
          await changed(`s${index % 3}`, `E${index}`);
        }
        const [sinceMs, untilMs] = [simulatedStart + from * 30 * minuteMs, simulatedStart + (from + length) * 30 * minuteMs];
        const wanted = log.log.events.filter(({ metadata }) => Date.parse(metadata['recordedat'] ?? '') >= sinceMs && Date.parse(metadata['recordedat'] ?? '') <= untilMs).map(({ type }) => type);
        expect((await everyPage(log.store, { sinceMs, untilMs }, 3)).map(({ type }) => type)).toEqual(wanted);
      }),
      { numRuns: 100 },
    );
  });

  it('find where to begin without reading the log from its start, and stop where nothing can follow', async () => {
    const { clock, log, changed } = world();
    for (let n = 0; n < 2_000; n += 1) {
      await changed(`s${n}`, 'A');
      clock.setNow(simulatedStart + n * hourMs);
    }
    let [reads, seen] = [0, 0];
    const counting = { ...through(log.store), readAll: async (...args: Parameters<typeof log.store.readAll>) => { const batch = await log.store.readAll(...args); reads += 1; seen += batch.events.length; return batch; } };
    const sinceMs = simulatedStart + 1_500 * hourMs;
    expect(Number(await positionBefore(counting, sinceMs))).toBeGreaterThan(1_490);
    expect(reads).toBeLessThan(15);
    [reads, seen] = [0, 0];
    const page = await readRecord(counting, acme, { sinceMs, untilMs: sinceMs + hourMs }, { after: null, limit: 500 });
    expect([page.events.length, page.next]).toEqual([2, null]);
    expect(seen).toBeLessThan(600);
    expect(await positionBefore(log.store, simulatedStart - 10 * hourMs)).toBe(startOfLog);
  });
});
