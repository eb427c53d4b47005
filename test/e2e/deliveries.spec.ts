import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DeliveryDto } from '#contracts';
import { type Api, demo, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox, type Reply, type Replies } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(30_000);

let installation: Installation;
let inbox: Inbox;
let api: Api;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s,200ms,300ms' });
  api = installation.root;
}, 60_000);
afterAll(async () => {
  await inbox?.close();
  await installation?.end();
});

/** A box of its own, a subscription to it of the event type `<box>.happened`, and what it is answered. */
async function receiver(box: string, replies?: Replies, more: object = {}): Promise<{ readonly id: string; readonly type: string; readonly deliveries: (query?: string) => Promise<readonly DeliveryDto[]>; readonly one: (status: string) => Promise<DeliveryDto> }> {
  const type = `${box}.happened`;
  const { resourceId: id } = await api.subscribe(inbox.url(box, replies), type, more);
  const deliveries = async (query = ''): Promise<readonly DeliveryDto[]> => (await api.deliveries(id, query)).items;
  return { id, type, deliveries, one: (status) => eventually(`a delivery that is ${status}`, async () => (await deliveries(`&status=${status}`))[0]) };
}

/** Answers these statuses one after the other, and the last one from then on. */
function statuses(...all: readonly number[]): Replies {
  let count = 0;
  return () => ({ status: all[Math.min(count++, all.length - 1)] ?? 200 });
}

const operate = (type: string, id: string): ReturnType<Api['do']> => api.do(`${type}WebhookSubscription`, { webhookSubscriptionId: id });

describe('a delivery', () => {
  it('is tried again along the schedule under the same webhook-id until it is answered with 2xx; its detail carries each whole transcript', async () => {
    const { id, type, one } = await receiver('retried', (request) => (inbox.in('retried').length < 3 ? { status: 500, headers: { 'x-trace': 'a' }, body: `not yet ${request.event.id}` } : { status: 201, body: 'at last' }));
    const { eventId } = await api.publish(type, { n: 1 });
    const requests = await inbox.arrived('retried', 3);
    const delivered = await one('DELIVERED');
    expect(delivered).toEqual({ id: requests[0]?.headers['webhook-id'], subscriptionId: id, eventId, eventType: type, status: 'DELIVERED', reason: null, attempts: 3, nextAttemptAt: null, createdAt: expect.any(String), updatedAt: expect.any(String) });
    expect(new Set(requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set([delivered.id]));
    const [first, second, third] = requests.map(({ atMs }) => atMs);
    expect(Number(second) - Number(first)).toBeGreaterThan(155);
    expect(Number(third) - Number(second)).toBeGreaterThan(235);

    const { transcripts, ...rest } = await api.delivery(id, delivered.id);
    expect(rest).toEqual(delivered);
    expect(transcripts.map(({ attempt, response, decision }) => [attempt, response?.status, (decision as { next: string }).next])).toEqual([[1, 500, 'SCHEDULED'], [2, 500, 'SCHEDULED'], [3, 201, 'DELIVERED']]);
    expect(transcripts[0]).toEqual({
      attempt: 1,
      startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\S+Z$/),
      durationMs: expect.any(Number),
      request: { method: 'POST', url: inbox.url('retried'), headers: expect.objectContaining({ 'webhook-id': delivered.id, 'webhook-signature': requests[0]?.headers['webhook-signature'], 'Roost-Signature': requests[0]?.headers['roost-signature'], 'content-type': 'application/json' }), body: requests[0]?.body },
      response: { status: 500, headers: expect.objectContaining({ 'x-trace': 'a' }), body: `not yet ${eventId}`, truncated: false },
      error: null,
      timings: expect.any(Object),
      remoteAddress: expect.stringContaining('127.0.0.1'),
      decision: { next: 'SCHEDULED', why: 'status-500', nextAttemptAt: expect.any(String) },
      subscriptionRevision: 1,
      secretVersionIds: [expect.any(String)],
    });
  });

  it('whose receiver is not there is tried again too, and says so', async () => {
    const { resourceId } = await api.subscribe('http://127.0.0.1:1/nobody', 'unreachable.happened');
    await api.publish('unreachable.happened');
    const dead = await eventually('the dead letter', async () => (await api.deliveries(resourceId, '&status=DEAD_LETTERED')).items[0]);
    expect((await api.delivery(resourceId, dead.id)).transcripts.map(({ response, error }) => [response, error])).toEqual([1, 2, 3].map(() => [null, 'connect-refused']));
  });

  it('is a dead letter when the schedule is used up, which subscribers are told; kf brings it back, with the counter or anew', async () => {
    await api.subscribe(inbox.url('told-of-dead'), 'webhook.delivery.dead_lettered');
    const { id, type, one } = await receiver('hopeless', statuses(500));
    const { eventId } = await api.publish(type);
    await inbox.arrived('hopeless', 3);
    const dead = await one('DEAD_LETTERED');
    expect(dead).toMatchObject({ reason: 'attempts-exhausted', attempts: 3, nextAttemptAt: null });
    const told = await eventually('the operational event', () => inbox.in('told-of-dead').find(({ event }) => (event.data as { webhookSubscriptionId: string }).webhookSubscriptionId === id));
    expect(told.event).toMatchObject({ type: 'webhook.delivery.dead_lettered', data: { webhookDeliveryId: dead.id, eventId, eventType: type, reason: 'attempts-exhausted', attempts: 3 } });

    const shell = new Terminal({ KF_SERVER: installation.url, KF_API_KEY: installation.server.rootKey });
    try {
      const replay = (flags: string): ReturnType<Terminal['ok']> => shell.ok(`kf webhook replay-delivery --tenant ${demo} --actor-type USER --actor-id usr_sam --webhook-delivery-id ${dead.id} ${flags}`);
      const attempts = (count: number): Promise<number> => eventually(`${count} attempts`, async () => ((await one('DEAD_LETTERED')).attempts === count ? count : undefined));
      expect((await replay('')).json['result']).toMatchObject({ status: 'PENDING' });
      await attempts(4);
      await replay('--reset-attempts');
      await attempts(7);
      expect(inbox.in('hopeless')).toHaveLength(7);
    } finally {
      shell.end();
    }
  });

  it('of mode BEST_EFFORT is tried once', async () => {
    const { type, one } = await receiver('best-effort', statuses(500), { deliveryMode: 'BEST_EFFORT' });
    await api.publish(type);
    expect(await one('DEAD_LETTERED')).toMatchObject({ reason: 'best-effort-failed', attempts: 1 });
    expect(inbox.in('best-effort')).toHaveLength(1);
  });

  it('of mode ORDERED waits until the one before is delivered or dead: the log’s order, under retries', async () => {
    const failing = new Map<string, number>([['o-2', 2], ['o-3', 99]]);
    const { type, deliveries } = await receiver('ordered', ({ event }) => {
      const left = failing.get(event.id) ?? 0;
      failing.set(event.id, left - 1);
      return { status: left > 0 ? 422 : 200 };
    }, { deliveryMode: 'ORDERED' });
    const items = ['o-1', 'o-2', 'o-3', 'o-4', 'o-5'].map((eventId) => ({ eventId, type, data: {} }));
    await api.ask('POST', `/api/events?siteId=${demo}`, { body: items });
    await inbox.arrived('ordered', 9);
    const order = (await eventually('the end', async () => ((await deliveries('&status=DELIVERED')).length === 4 ? inbox.in('ordered') : undefined))).map(({ event }) => event.id);
    expect([...new Set(order)].map((eventId) => [eventId, order.filter((one) => one === eventId).length])).toEqual([...new Set(order)].map((eventId) => [eventId, { 'o-2': 3, 'o-3': 3 }[eventId] ?? 1]));
    for (const eventId of new Set(order)) expect(order.lastIndexOf(eventId) - order.indexOf(eventId) + 1).toBe(order.filter((one) => one === eventId).length);
    expect([...new Set(order)]).toEqual(await logOrder(items.map(({ eventId }) => eventId)));
  });

  it('is not tried before Retry-After', async () => {
    const { type, one } = await receiver('busy', () => (inbox.in('busy').length === 1 ? { status: 429, headers: { 'retry-after': '1' } } : {}));
    await api.publish(type);
    const waiting = await one('SCHEDULED');
    expect(Date.parse(waiting.nextAttemptAt ?? '') - Date.parse(waiting.updatedAt)).toBeGreaterThan(900);
    const [first, second] = await inbox.arrived('busy', 2);
    expect(Number(second?.atMs) - Number(first?.atMs)).toBeGreaterThanOrEqual(990);
    await one('DELIVERED');
  });

  it('answered with 410 is dead at once, its subscription is paused with the reason, and subscribers are told', async () => {
    await api.subscribe(inbox.url('told-of-pause'), 'webhook.subscription.paused');
    const { id, type, one, deliveries } = await receiver('gone', statuses(410));
    await api.publish(type);
    expect(await one('DEAD_LETTERED')).toMatchObject({ reason: 'endpoint-gone', attempts: 1 });
    const told = await eventually('the operational event', () => inbox.in('told-of-pause').find(({ event }) => (event.data as { webhookSubscriptionId: string }).webhookSubscriptionId === id));
    expect(told.event).toMatchObject({ type: 'webhook.subscription.paused', tenant: demo, data: { webhookSubscriptionId: id, reason: 'endpoint-gone' } });
    const after = await api.publish(type);
    expect(await deliveries(`&waitFor=${after.position}`)).toHaveLength(1);
    expect(inbox.in('gone')).toHaveLength(1);
    expect(await api.dryRun('PauseWebhookSubscription', { webhookSubscriptionId: id })).toMatchObject({ outcome: 'NO_CHANGE' });
  });

  it('of an operational event publishes none about itself', async () => {
    const { resourceId } = await api.subscribe(inbox.url('deaf', statuses(410)), 'webhook.subscription.updated,webhook.delivery.dead_lettered');
    const watched = await api.subscribe(inbox.url('watched'), 'never.matched');
    await api.do('UpsertWebhookSubscription', { webhookSubscriptionId: watched.resourceId, targetUrl: inbox.url('watched'), eventPattern: 'never.matched', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE', description: 'changed' });
    const dead = await eventually('the dead letter', async () => (await api.deliveries(resourceId, '&status=DEAD_LETTERED')).items[0]);
    expect(dead.eventType).toMatch(/^webhook\./);
    expect(inbox.in('told-of-dead').some(({ event }) => (event.data as { webhookDeliveryId: string }).webhookDeliveryId === dead.id)).toBe(false);
  });
});

/** These events in the order in which they stand in the log. */
async function logOrder(eventIds: readonly string[]): Promise<readonly string[]> {
  const events = await Promise.all(eventIds.map((eventId) => api.read<{ eventId: string; position: string }>(`/api/events/${eventId}?siteId=${demo}`)));
  return events.sort((a, b) => Number(a.position) - Number(b.position)).map(({ eventId }) => eventId);
}

describe('a pause', () => {
  it('stops at once: what is under way ends, what waits is not sent; after resume the waiting goes on, and what came meanwhile never', async () => {
    const held = Promise.withResolvers<Reply>();
    const { id, type, deliveries } = await receiver('paused', ({ event }) => (event.id === 'p-1' ? held.promise : {}), { deliveryMode: 'ORDERED' });
    for (const eventId of ['p-1', 'p-2']) await api.publishOne({ eventId, type, data: {} });
    await inbox.arrived('paused', 1);
    await eventually('both deliveries', async () => ((await deliveries()).length === 2 ? true : undefined));
    expect(await operate('Pause', id)).toMatchObject({ outcome: 'APPLIED', result: { status: 'PAUSED' } });
    held.resolve({});
    const missed = await api.publishOne({ eventId: 'p-missed', type, data: {} });
    await eventually('the end of what was under way', async () => ((await deliveries(`&waitFor=${missed.position}&status=DELIVERED`)).length === 1 ? true : undefined));
    expect(inbox.in('paused').map(({ event }) => event.id)).toEqual(['p-1']);
    expect((await deliveries('&status=PENDING')).map(({ eventId }) => eventId)).toEqual(['p-2']);

    await operate('Resume', id);
    await api.publishOne({ eventId: 'p-3', type, data: {} });
    expect((await inbox.arrived('paused', 3)).map(({ event }) => event.id)).toEqual(['p-1', 'p-2', 'p-3']);
    expect((await api.read<{ deliveries: readonly unknown[] }>(`/api/events/p-missed?siteId=${demo}`)).deliveries).toEqual([]);
  });

  it('answered means that no attempt starts any more, also of a retry that is due', async () => {
    const { id, type, one } = await receiver('paused-retry', statuses(500));
    await api.publish(type);
    await one('SCHEDULED');
    await operate('Pause', id);
    const sent = inbox.in('paused-retry').length;
    // Longer than the whole schedule: the other deliveries of this time prove that the dispatcher runs on.
    const other = await receiver('paused-meanwhile', statuses(500));
    await api.publish(other.type);
    await other.one('DEAD_LETTERED');
    expect(inbox.in('paused-retry')).toHaveLength(sent);
    await operate('Resume', id);
    await one('DEAD_LETTERED');
    expect(inbox.in('paused-retry')).toHaveLength(3);
  });
});

describe('a deletion', () => {
  it('cancels what is open; a restored subscription gets what comes next, and the cancelled stays cancelled', async () => {
    const { id, type, one, deliveries } = await receiver('deleted', (request) => (request.event.id === 'd-1' ? { status: 500, headers: { 'retry-after': '60' } } : {}));
    await api.publishOne({ eventId: 'd-1', type, data: {} });
    const open = await one('SCHEDULED');
    const deleted = await operate('Delete', id);
    expect(deleted).toMatchObject({ result: { status: 'DELETED', purgeAt: expect.stringMatching(/Z$/) } });
    expect(await deliveries(`&waitFor=${deleted.position}`)).toMatchObject([{ id: open.id, status: 'CANCELLED', nextAttemptAt: null }]);
    const whileDeleted = await api.publish(type);
    expect(await deliveries(`&waitFor=${whileDeleted.position}`)).toHaveLength(1);
    const upsert = await api.command('UpsertWebhookSubscription', { webhookSubscriptionId: id, targetUrl: inbox.url('deleted'), eventPattern: type, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });
    expect([upsert.status, slugOf(upsert)]).toEqual([409, 'subscription-deleted']);

    expect(await operate('Restore', id)).toMatchObject({ result: { status: 'ACTIVE' } });
    await api.publishOne({ eventId: 'd-2', type, data: {} });
    await one('DELIVERED');
    expect(inbox.in('deleted').map(({ event }) => event.id)).toEqual(['d-1', 'd-2']);
    const replay = await api.command('ReplayWebhookDelivery', { webhookDeliveryId: open.id });
    expect([replay.status, slugOf(replay)]).toEqual([409, 'delivery-not-replayable']);
    expect((await deliveries('&status=CANCELLED')).map((delivery) => delivery.id)).toEqual([open.id]);
  });
});

describe('lists', () => {
  it('go on from their cursor, each delivery once, latest first; a cursor of another list is refused', async () => {
    const { id, type } = await receiver('listed');
    const { body } = await api.ask('POST', `/api/events?siteId=${demo}`, { body: Array.from({ length: 7 }, (_, n) => ({ type, data: n })) });
    const published = (body['items'] as { eventId: string }[]).map(({ eventId }) => eventId);
    await inbox.arrived('listed', 7);
    const seen: DeliveryDto[] = [];
    const pages: number[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page: { readonly items: readonly DeliveryDto[]; readonly nextCursor: string | null } = await api.deliveries(id, `&limit=3${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
      seen.push(...page.items);
      pages.push(page.items.length);
      cursor = page.nextCursor;
    }
    expect(pages).toEqual([3, 3, 1]);
    expect(seen.map(({ eventId }) => eventId)).toEqual((await logOrder(published)).toReversed());
    for (const name of ['usr_a', 'usr_b']) await api.person(name);
    const ofKeys = await api.read<{ nextCursor: string }>('/api/keys?limit=1');
    const foreign = await api.get(`/api/webhooks/${id}/deliveries?siteId=${demo}&cursor=${ofKeys.nextCursor}`);
    expect([foreign.status, slugOf(foreign)]).toEqual([400, 'validation-failed']);
    for (const query of ['cursor=nonsense', 'limit=0', 'limit=501', 'limit=x', 'status=LOST', 'statsu=DELIVERED', 'limit=1&limit=2']) {
      const answer = await api.get(`/api/webhooks/${id}/deliveries?siteId=${demo}&${query}`);
      expect([query, answer.status, slugOf(answer)]).toEqual([query, 400, 'validation-failed']);
    }
  });

  it('with waitFor show what was written up to that position, and refuse one that is not in the log', async () => {
    const { id, type } = await receiver('waited-for');
    const { position } = await api.publish(type);
    const paused = await operate('Pause', id);
    await Promise.all([api.deliveries(id, `&waitFor=${position}`), api.deliveries(id, `&waitFor=${paused.position}`), api.deliveries(id, '&waitFor=0')]);
    const beyond = await api.get(`/api/webhooks/${id}/deliveries?siteId=${demo}&waitFor=${BigInt(paused.position) + 1_000_000n}`);
    expect([beyond.status, slugOf(beyond)]).toEqual([400, 'position-unknown']);
    for (const waitFor of ['-1', 'x', '1.5', '99999999999999999999999', '01']) {
      const malformed = await api.get(`/api/webhooks/${id}/deliveries?siteId=${demo}&waitFor=${waitFor}`);
      expect([waitFor, malformed.status]).toEqual([waitFor, 400]);
    }
  });

  it('of an event shows its deliveries to every subscription', async () => {
    const boxes = ['fan-1', 'fan-2', 'fan-3'];
    const ids = await Promise.all(boxes.map(async (box) => (await api.subscribe(inbox.url(box), 'fan.*')).resourceId));
    const { eventId } = await api.publish('fan.out', { n: 1 });
    await Promise.all(boxes.map((box) => inbox.arrived(box, 1)));
    const event = await eventually('three deliveries', async () => {
      const read = await api.read<{ deliveries: readonly DeliveryDto[] }>(`/api/events/${eventId}?siteId=${demo}`);
      return read.deliveries.every(({ status }) => status === 'DELIVERED') && read.deliveries.length === 3 ? read : undefined;
    });
    expect(event.deliveries.map(({ subscriptionId }) => subscriptionId).sort()).toEqual([...ids].sort());
  });
});
