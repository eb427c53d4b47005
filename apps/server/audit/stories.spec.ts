import { describe, expect, it } from '@jest/globals';
import type { StoryDto } from '#contracts';
import type { EventStore } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { deliveryId, type RecordedEvent, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import { asKim, governedWorld, site, upsertOf } from '../../../test/support/governed-world.ts';
import { TestLog } from '../../../test/support/log.ts';
import { type SimulatedClock, simulatedClock } from '../../../test/support/simulated-clock.ts';
import type { Projections, Reads, ServerFacts, StoryReads } from '../parts.ts';
import { ExplanationsController } from './explanations.ts';
import { StoriesController } from './stories.ts';

type SignedPage = Awaited<ReturnType<StoryReads['signedAttempts']>>;
type Version = Awaited<ReturnType<StoryReads['subscriptionVersions']>>[number];

interface ReadModelsThen {
  readonly versions?: readonly Version[];
  readonly signed?: (of: Parameters<StoryReads['signedAttempts']>[0]) => SignedPage;
  readonly seen?: 'reached' | 'behind';
  readonly published?: StoryReads['publishedIds'];
}

/** The stories of a log, beside read models that answer as they are told. */
function storiesOf(log: EventStore, clock: SimulatedClock, { versions = [], signed = () => ({ attempts: [], looked: 0, next: null }), seen = 'reached', published = () => Promise.resolve([]) }: ReadModelsThen = {}): (id: string) => Promise<StoryDto> {
  const reads = { subscriptionVersions: () => Promise.resolve(versions), signedAttempts: (of: Parameters<StoryReads['signedAttempts']>[0]) => Promise.resolve(signed(of)), publishedIds: published };
  const controller = new StoriesController(log, reads, { waitFor: () => Promise.resolve(seen) } as unknown as Projections, clock);
  return (id) => controller.get(site, id);
}

const settings = { eventPattern: '**', targetUrl: 'https://receiver.test/', deliveryMode: 'AT_LEAST_ONCE', description: null };
const secret = { versionId: 'v1', kind: 'managed', fingerprint: 'f' };
const created = { type: 'WebhookSubscriptionCreated', data: { ...settings, status: 'ACTIVE', secret } };
const subscription = streamOf('webhooksubscription', site, 'orders');

async function withLog(): Promise<{ readonly log: TestLog; readonly clock: SimulatedClock }> {
  const clock = simulatedClock();
  const log = new TestLog(clock);
  await log.append(subscription, created);
  return { log, clock };
}

async function schedule(log: TestLog, subscriptionId: string, event: RecordedEvent): Promise<string> {
  const id = deliveryId(site, 'e1', subscriptionId, Date.parse(event.metadata['recordedat'] ?? ''));
  const data = { subscriptionId, incarnation: 'i', eventId: 'e1', eventType: 'a.b', eventPosition: event.position, eventStream: event.stream, operational: false };
  await log.append(streamOf('webhookdelivery', site, id), { type: 'WebhookDeliveryScheduled', data });
  return id;
}

describe('the story of an approval', () => {
  it('that was revoked tells by whom, and that it was barred from its resource', async () => {
    const world = governedWorld();
    await world.must('UpsertWebhookSubscription', upsertOf('orders'));
    const { resourceId, revision } = await world.must('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', expiresOn: new Date(world.clock.now() + 60_000).toISOString() });
    const granted = await world.must('GrantApproval', { approvalId: resourceId }, { ...asKim, expectedRevision: revision });
    await world.must('RevokeApproval', { approvalId: resourceId, reason: 'not any more' }, { ...asKim, expectedRevision: granted.revision });
    const { kind, entries, signatures } = await storiesOf(world.store, world.clock)(resourceId);
    expect([kind, signatures]).toEqual(['APPROVAL', []]);
    expect(entries.map(({ type, text }) => [type, text]).slice(1)).toEqual([
      ['ApprovalVoteCast', 'USER:usr_kim voted to grant it.'],
      ['ApprovalGranted', 'With that it had the votes it needs and was granted.'],
      ['ApprovalRevoked', 'USER:usr_kim revoked it: "not any more".'],
      ['ApprovalFenced', `Approval ${resourceId} was barred from orders.`],
    ]);
  });
});

describe('a story', () => {
  it('of a thousand entries says that there are more', async () => {
    const { log, clock } = await withLog();
    for (let n = 0; n < 1_000; n += 1) await log.append(subscription, { type: 'WebhookSubscriptionUpdated', data: { ...settings, description: String(n) } });
    const { entries, truncated } = await storiesOf(log.store, clock)('orders');
    expect([entries.length, truncated]).toEqual([1_000, true]);
  });

  it('of a subscription tells the options that it was given', async () => {
    const { log, clock } = await withLog();
    await log.append(subscription, { type: 'WebhookSubscriptionUpdated', data: { ...settings, filter: 'data.a > 1', timeoutMs: 5_000, retryScheduleMs: [0, 300_000], rateLimitPerSecond: 10, labels: { team: 'orders', tier: '1' }, headers: { 'x-api-key': { versionId: 'v2', fingerprint: 'f' } } } });
    const { entries } = await storiesOf(log.store, clock)('orders');
    expect(entries[1]?.text).toContain(`"${settings.eventPattern}" where data.a > 1 to`);
    expect(entries.map(({ text }) => text.replace(/^.*\(/, '('))).toEqual(['(AT_LEAST_ONCE, ACTIVE), signed with secret version v1.', '(AT_LEAST_ONCE, 5000 ms for a request, attempts after 0s 5m, at most 10 requests a second, team=orders, tier=1, header x-api-key).']);
  });

  it('of a recovery tells how it ended, however often it said how far it was', async () => {
    const { log, clock } = await withLog();
    const stream = streamOf('recovery', site, 'rec_1');
    await log.appendWith(stream, { actortype: 'USER', actorid: 'sam' }, { type: 'WebhookRecoveryStarted', data: { subscriptionId: 'orders', incarnation: 'i', since: 's', until: 'u', statuses: ['MISSED'], ratePerSecond: 1 } });
    for (let n = 1; n <= 1_500; n += 1) await log.append(stream, { type: 'WebhookRecoveryProgressed', data: { cursor: { part: 'MISSED', position: '1' }, total: 1_501, recovered: n, skipped: 0 } });
    await log.append(stream, { type: 'WebhookRecoveryFinished', data: { total: 1_501, recovered: 1_501, skipped: 0, detail: null } });
    const { kind, entries, truncated } = await storiesOf(log.store, clock)('rec_1');
    expect([kind, truncated, entries.map(({ type }) => type)]).toEqual(['RECOVERY', false, ['WebhookRecoveryStarted', 'WebhookRecoveryProgressed', 'WebhookRecoveryFinished']]);
    expect(entries[1]?.text).toBe('So far 1500 of 1501 were sent again, 0 could not be.');
  });

  it('of a subscription looks at so many deliveries for signatures, and says that there are more', async () => {
    const { log, clock } = await withLog();
    const looks: string[] = [];
    const endless = storiesOf(log.store, clock, { signed: ({ status, limit }) => (looks.push(status) > 0 ? { attempts: [{ deliveryId: `dlv_${looks.length}`, secretVersionIds: ['v1'] }], looked: limit, next: '1' } : { attempts: [], looked: 0, next: null }) });
    const { signatures, truncated } = await endless('orders');
    expect([looks.length, truncated, signatures]).toEqual([20, true, [expect.objectContaining({ secretVersionId: 'v1', kind: 'CURRENT', attempts: 20 })]]);
    const few = storiesOf(log.store, clock, { signed: () => ({ attempts: [], looked: 10, next: null }) });
    expect((await few('orders')).truncated).toBe(false);
  });

  it('of an event has the delivery to everybody it could have gone to, also one that a recovery scheduled', async () => {
    const { log, clock } = await withLog();
    const event = await log.publish(site, 'e1', 'a.b');
    const version = { site, incarnation: 'i', filter: null, deliveryMode: 'AT_LEAST_ONCE', fromPosition: '1', toPosition: null } as const;
    const versions: readonly Version[] = [
      { ...version, subscriptionId: 'active', eventPattern: 'a.*', status: 'ACTIVE' },
      { ...version, subscriptionId: 'recovered', eventPattern: '**', status: 'PAUSED' },
      { ...version, subscriptionId: 'mismatch', eventPattern: 'b.*', status: 'ACTIVE' },
    ];
    const ids = [await schedule(log, 'active', event), await schedule(log, 'recovered', event)];
    await schedule(log, 'mismatch', event);
    const { kind, entries } = await storiesOf(log.store, clock, { versions })('e1');
    expect([kind, entries.map(({ deliveryId: id }) => id)]).toEqual(['EVENT', [null, ...ids]]);
    await expect(storiesOf(log.store, clock, { seen: 'behind' })('e1')).rejects.toMatchObject({ slug: 'projection-behind' });
  });

  it('of a subscription is not hidden by an event that somebody published under its id', async () => {
    const { log, clock } = await withLog();
    await log.publish(site, 'orders', 'a.b');
    expect((await storiesOf(log.store, clock)('orders')).kind).toBe('SUBSCRIPTION');
  });

  it('of a publication looks at a few ids at a time, and so do all such stories together: each costs a hash where everybody is answered', async () => {
    const { log, clock } = await withLog();
    const sizes: number[] = [];
    let looking = 0;
    const published: StoryReads['publishedIds'] = async ({ before, limit }) => {
      looking += 1;
      sizes.push(limit * looking);
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      looking -= 1;
      const first = before === null ? 1_000 : Number(before) - 1;
      return Array.from({ length: Math.min(limit, first) }, (_, index) => ({ eventId: `e${first - index}`, position: String(first - index) }));
    };
    const told = storiesOf(log.store, clock, { published });
    const ids = Array.from({ length: 8 }, (_, index) => `0000000${index}-0000-5000-8000-000000000000`);
    expect((await Promise.allSettled(ids.map((id) => told(id)))).map((one) => one.status === 'rejected' && (one.reason as { slug: string }).slug)).toEqual(ids.map(() => 'not-found'));
    expect(sizes.length).toBeGreaterThanOrEqual(8 * 4);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(250);
  });

  it('of nothing there is none: neither of another site’s, nor of a resource that only an approval was barred from', async () => {
    const { log, clock } = await withLog();
    await log.append(streamOf('webhooksubscription', { tenant: site.tenant, environment: 'staging' }, 'elsewhere'), created);
    await log.append(streamOf('webhooksubscription', site, 'barred'), { type: 'ApprovalFenced', data: { approvalId: 'apr_1' } });
    for (const id of ['elsewhere', 'barred', 'nothing', '', 'a b', 'x'.repeat(300)]) await expect(storiesOf(log.store, clock)(id)).rejects.toMatchObject({ slug: 'not-found' });
  });
});

describe('an explanation', () => {
  it.each([['have it no more', '9', true], ['have not come so far', '1', false]])('says that lists %s', async (_what, position, dropped) => {
    const { log } = await withLog();
    const event = await log.publish(site, 'e1', 'a.b');
    await schedule(log, 'orders', event);
    const reads = { delivery: () => Promise.resolve(undefined), event: () => Promise.resolve(readPublishedEvent(event)) };
    const controller = new ExplanationsController(log.store, reads as unknown as Reads, { status: () => [{ name: 'deliveries', position }] } as unknown as Projections, { fanOut: () => undefined } as unknown as ServerFacts);
    const { notes } = await controller.get(site, 'e1', 'orders');
    expect(notes.some((note) => note.includes('do not have it any more'))).toBe(dropped);
  });

  it('names nothing that is no id', async () => {
    const controller = new ExplanationsController(createMemoryEventStore(), {} as unknown as Reads, { status: () => [] } as unknown as Projections, { fanOut: () => undefined } as unknown as ServerFacts);
    expect(await controller.get(site, 'a b', '../x')).toMatchObject({ code: 'never-existed' });
  });
});
