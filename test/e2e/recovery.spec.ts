import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import type { RecoveryDto } from '#contracts';
import { formatInstant, type RecordedEvent } from '#kernel';
import { type Answer, type Api, demo, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox } from '../support/e2e/inbox.ts';
import { engine } from '../support/e2e/home.ts';
import { Installation } from '../support/e2e/installation.ts';
import { type HttpReceiver, startReceiver } from '../support/webhook-receivers.ts';

const recoverFor = (api: Api, subscriptionId: string, body: object): Promise<Answer> => api.ask('POST', `/api/webhooks/${subscriptionId}/recover?siteId=${demo}`, { body });
const recoveryNow = (api: Api, id: string): Promise<RecoveryDto> => api.read<RecoveryDto>(`/api/recoveries/${id}?siteId=${demo}`);
const recoveryOf = ({ body }: Answer): RecoveryDto => body['recovery'] as RecoveryDto;

const over = (api: Api, id: string, withinMs = 30_000): Promise<RecoveryDto> =>
  eventually('the end of the recovery', async () => {
    const recovery = await recoveryNow(api, id);
    return recovery.status === 'RUNNING' ? undefined : recovery;
  }, withinMs);

const openDeliveries = async (url: string): Promise<number> => Number(/^countersign_deliveries_open (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1]);
const anHourAgo = (): string => formatInstant(Date.now() - 3_600_000);

/** Successes after which the server is killed. On a log that others may share it takes 15 s to know that who was killed is gone. */
const { events, kills } = engine === 'sqlite' ? { events: 10_000, kills: [2_500, 6_000] } : { events: 1_000, kills: [300] };
const perRequest = 1_000;

describe(`a recovery of ${events} dead letters that is killed ${kills.length === 1 ? 'once' : `${kills.length} times`}`, () => {
  let installation: Installation;
  let receiver: HttpReceiver;
  let answers = 422;
  /** The successful requests of each delivery, by the life of the server in which they came. */
  const successes: string[][] = [[]];
  const failures = new Map<string, number>();
  let recovery: RecoveryDto;
  let log: readonly RecordedEvent[];

  const succeeded = (): number => successes.reduce((sum, { length }) => sum + length, 0);

  beforeAll(async () => {
    receiver = await startReceiver((response, { headers }) => {
      const id = String(headers['webhook-id']);
      if (answers === 200) successes.at(-1)?.push(id);
      else failures.set(id, (failures.get(id) ?? 0) + 1);
      response.writeHead(answers).end();
    });
    installation = await Installation.start();
    const { resourceId } = await installation.root.subscribe(receiver.url, 'order.*', { deliveryMode: 'BEST_EFFORT' });
    for (let from = 0; from < events; from += perRequest) {
      const body = Array.from({ length: perRequest }, (_, index) => ({ eventId: `e${from + index}`, type: 'order.placed', data: {} }));
      expect((await installation.root.ask('POST', `/api/events?siteId=${demo}`, { body })).status).toBe(200);
    }
    await eventually('every dead letter', async () => (failures.size === events && (await openDeliveries(installation.url)) === 0 ? true : undefined), 120_000);
    answers = 200;
    const started = await recoverFor(installation.root, resourceId, { since: anHourAgo(), status: ['DEAD_LETTERED'], ratePerSecond: 4_000 });
    expect(started.status).toBe(201);
    for (const count of kills) {
      await eventually(`${count} successes`, () => (succeeded() >= count ? true : undefined), 60_000);
      await installation.server.kill();
      successes.push([]);
      await installation.startServer();
    }
    recovery = await over(installation.root, recoveryOf(started).id, 60_000);
    await eventually('every delivery', async () => (new Set(successes.flat()).size === events && (await openDeliveries(installation.url)) === 0 ? true : undefined), 60_000);
    await installation.stop();
    log = await installation.home.readLog();
  }, 240_000);
  afterAll(async () => {
    await installation.end();
    await receiver.close();
  });

  const inDeliveries = (type: string): ReadonlyMap<string, number> => counted(log.filter((event) => event.type === type).map(({ stream }) => stream.slice(stream.lastIndexOf('.') + 1)));

  it('was under way each time, and is finished', () => {
    expect(successes.map(({ length }) => length > 0)).toEqual(successes.map(() => true));
    expect(recovery).toMatchObject({ status: 'FINISHED', total: events, recovered: events, skipped: 0, detail: null });
  });

  it('replayed every delivery exactly once, as the log says', () => {
    const replays = inDeliveries('WebhookDeliveryReplayRequested');
    expect(replays.size).toBe(events);
    expect([...replays].filter(([, count]) => count !== 1)).toEqual([]);
    expect([...inDeliveries('WebhookDeliverySucceeded')].filter(([, count]) => count !== 1)).toEqual([]);
    expect(inDeliveries('WebhookDeliverySucceeded').size).toBe(events);
  });

  it('had every delivery sent once more; again only what was unrecorded when the server was killed', () => {
    expect(new Set(successes.flat()).size).toBe(events);
    // One request in one life of the server: a second one was made for an outcome that a kill had lost.
    expect(successes.flatMap((life) => [...counted(life)].filter(([, count]) => count !== 1))).toEqual([]);
    // The dispatcher lets no more than 1,000 outcomes wait to be recorded.
    expect(succeeded() - events).toBeLessThanOrEqual(kills.length * 1_000);
    expect([...failures.values()].every((count) => count === 1)).toBe(true);
  });

  it('kept a record of its progress of bounded length', () => {
    const progress = log.filter(({ type }) => type === 'WebhookRecoveryProgressed').map(({ data }) => JSON.parse(data) as { recovered: number });
    expect(progress.length).toBeGreaterThan(kills.length);
    expect(progress.length).toBeLessThan(60);
    expect(progress.map(({ recovered }) => recovered)).toEqual(progress.map(({ recovered }) => recovered).toSorted((a, b) => a - b));
  });
});

function counted(ids: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

describe('recoveries and tests of a subscription', () => {
  let installation: Installation;
  let inbox: Inbox;
  let api: Api;

  beforeAll(async () => {
    inbox = await Inbox.start();
    installation = await Installation.start();
    api = installation.root;
  }, 60_000);
  afterAll(async () => {
    await installation.end();
    await inbox.close();
  });

  /** The request of that number in a box. */
  async function arrivedAs(box: string, number: number): Promise<Delivered> {
    const request = (await inbox.arrived(box, number))[number - 1];
    if (request === undefined) throw new Error(`nothing has arrived in ${box}`);
    return request;
  }

  it('delivers what was published while it was paused, in a job that is seen in the list', async () => {
    const { resourceId: id } = await api.subscribe(inbox.url('paused'), 'missed.*');
    await api.do('PauseWebhookSubscription', { webhookSubscriptionId: id });
    const missed = [await api.publish('missed.one'), await api.publish('missed.two')];
    await api.publish('another.one');
    await api.do('ResumeWebhookSubscription', { webhookSubscriptionId: id });
    const started = await recoverFor(api, id, { since: anHourAgo() });
    const { id: recoveryId, ...recovery } = recoveryOf(started);
    expect([started.status, started.headers.get('location')]).toEqual([201, `/api/recoveries/${recoveryId}?siteId=${demo}`]);
    expect(recovery).toMatchObject({ siteId: demo, subscriptionId: id, status: 'RUNNING', statuses: ['DEAD_LETTERED', 'MISSED'], ratePerSecond: 100, total: null, requestedBy: { type: 'USER', id: 'root' }, finishedAt: null });
    expect((await inbox.arrived('paused', 2)).map(({ event }) => event.id).toSorted()).toEqual(missed.map(({ eventId }) => eventId).toSorted());
    const finished = await over(api, recoveryId);
    expect(finished).toMatchObject({ status: 'FINISHED', total: 2, recovered: 2, skipped: 0 });
    const listed = await eventually('the end in the list', async () => (await api.read<{ items: RecoveryDto[] }>(`/api/recoveries?siteId=${demo}&webhookSubscriptionId=${id}&status=FINISHED`)).items[0]);
    expect(listed).toEqual(finished);
    expect((await api.get(`/api/recoveries/${recoveryId}?siteId=another`)).status).toBe(404);
    expect((await api.get(`/api/recoveries/rec_none?siteId=${demo}`)).status).toBe(404);
  });

  it('ends when it is cancelled', async () => {
    const { resourceId: id } = await api.subscribe(inbox.url('cancelled'), 'cancelled.*');
    await api.do('PauseWebhookSubscription', { webhookSubscriptionId: id });
    await Promise.all(Array.from({ length: 50 }, () => api.publish('cancelled.one')));
    await api.do('ResumeWebhookSubscription', { webhookSubscriptionId: id });
    const { result } = await api.do('RecoverWebhookDeliveries', { webhookSubscriptionId: id, since: anHourAgo(), ratePerSecond: 2 });
    const recoveryId = String(result['recoveryId']);
    await inbox.arrived('cancelled', 1);
    expect((await api.do('CancelWebhookRecovery', { recoveryId })).result).toEqual({ recoveryId, status: 'CANCELLED' });
    expect(await recoveryNow(api, recoveryId)).toMatchObject({ status: 'CANCELLED', detail: null });
    expect((await api.do('CancelWebhookRecovery', { recoveryId })).outcome).toBe('NO_CHANGE');
    // What is published now is delivered after all that the job had scheduled.
    const { eventId } = await api.publish('cancelled.last');
    const arrived = await eventually('the last one', () => (inbox.in('cancelled').some(({ event }) => event.id === eventId) ? inbox.in('cancelled') : undefined));
    expect(arrived.length).toBeLessThan(20);
  });

  it('is refused for times that make no sense, for what is not there, and where each replay needs an approval', async () => {
    const { resourceId: id } = await api.subscribe(inbox.url('refused'), 'refused.*');
    const future = await recoverFor(api, id, { since: formatInstant(Date.now() + 3_600_000) });
    expect([future.status, slugOf(future), future.body['errors']]).toEqual([400, 'validation-failed', [{ path: 'since', message: expect.stringContaining('future') }]]);
    const malformed = await recoverFor(api, id, { since: anHourAgo(), status: ['PENDING'], ratePerSecond: 0 });
    expect([malformed.status, malformed.body['errors']]).toEqual([400, [expect.objectContaining({ path: 'status' }), expect.objectContaining({ path: 'ratePerSecond' })]]);
    expect((await recoverFor(api, 'nobody', { since: anHourAgo() })).status).toBe(404);
    expect((await recoverFor(api, 'no%20id', { since: anHourAgo() })).status).toBe(404);
    await api.do('DeleteWebhookSubscription', { webhookSubscriptionId: id });
    expect(slugOf(await recoverFor(api, id, { since: anHourAgo() }))).toBe('subscription-deleted');
    const gated = { tenant: 'gated' };
    const { resourceId: other } = await api.subscribe(inbox.url('gated'), '**', {}, gated);
    await api.person('usr_kim', 'gated');
    await api.do('SetApprovalPolicy', { commandType: 'ReplayWebhookDelivery', required: true }, gated);
    const refused = await api.command('RecoverWebhookDeliveries', { webhookSubscriptionId: other, since: anHourAgo() }, gated);
    expect([refused.status, slugOf(refused), String(refused.body['detail'])]).toEqual([403, 'approval-required', expect.stringContaining('go past it')]);
  });

  it('sends one synthetic signed event to the subscription alone, with its transcript, whatever its pattern', async () => {
    const { resourceId: id, result } = await api.subscribe(inbox.url('tested'), 'nothing.of.the.kind');
    await api.subscribe(inbox.url('bystander'), '**,webhook.**,order.**');
    const answer = await api.ask('POST', `/api/webhooks/${id}/test?siteId=${demo}`);
    const { deliveryId, eventId, position } = answer.body as Record<'deliveryId' | 'eventId' | 'position', string>;
    expect(answer.status).toBe(201);
    const request = await arrivedAs('tested', 1);
    new Webhook(String(result.secret)).verify(request.body, request.headers as Record<string, string>);
    expect(request.headers['webhook-id']).toBe(deliveryId);
    expect(request.event).toMatchObject({ id: eventId, type: 'webhook.test', data: { test: true, webhookSubscriptionId: id, message: expect.any(String) } });
    const delivered = await eventually('its outcome', async () => {
      const found = await api.get(`/api/webhooks/${id}/deliveries/${deliveryId}?siteId=${demo}&waitFor=${position}`);
      return found.body['status'] === 'DELIVERED' ? found.body : undefined;
    });
    expect(delivered).toMatchObject({ id: deliveryId, eventId, eventType: 'webhook.test', transcripts: [{ attempt: 1, request: { body: request.body }, response: { status: 200 } }] });
    // Sent again, like any other.
    await api.do('ReplayWebhookDelivery', { webhookDeliveryId: deliveryId, includeDelivered: true });
    expect((await arrivedAs('tested', 2)).body).toBe(request.body);
    const { eventId: known } = await api.publish('order.placed');
    await eventually('a later event', () => inbox.in('bystander').find(({ event }) => event.id === known));
    expect(inbox.in('bystander').filter(({ event }) => event.id === eventId)).toEqual([]);
    expect((await api.get(`/api/events/${eventId}?siteId=${demo}`)).status).toBe(404);
  });

  it('tests a paused subscription when it is resumed, with a type of its own; a deleted one and none at all it refuses', async () => {
    const { resourceId: id } = await api.subscribe(inbox.url('later'), 'x', { status: 'PAUSED' });
    const idempotencyKey = `test-of-${id}`;
    const first = await api.do('TestWebhookSubscription', { webhookSubscriptionId: id, event: 'order.tested' }, { idempotencyKey });
    expect(first.result).toMatchObject({ status: 'PAUSED', deliveryId: expect.stringMatching(/^dlv_/), eventId: expect.stringMatching(/^evt_/) });
    expect(await api.do('TestWebhookSubscription', { webhookSubscriptionId: id, event: 'order.tested' }, { idempotencyKey })).toMatchObject({ replayed: true, result: first.result });
    const waiting = await eventually('the delivery', async () => (await api.deliveries(id)).items[0]);
    expect(waiting).toMatchObject({ id: first.result['deliveryId'], status: 'PENDING', eventType: 'order.tested' });
    expect(inbox.in('later')).toEqual([]);
    await api.do('ResumeWebhookSubscription', { webhookSubscriptionId: id });
    const arrived = await inbox.arrived('later', 1);
    expect(arrived.map(({ event }) => [event.id, event.type])).toEqual([[first.result['eventId'], 'order.tested']]);
    await api.do('DeleteWebhookSubscription', { webhookSubscriptionId: id });
    expect(slugOf(await api.ask('POST', `/api/webhooks/${id}/test?siteId=${demo}`))).toBe('subscription-deleted');
    expect(slugOf(await api.ask('POST', `/api/webhooks/nobody/test?siteId=${demo}`))).toBe('not-found');
    expect(slugOf(await api.ask('POST', `/api/webhooks/${id}/test?siteId=${demo}`, { body: { event: 'Not A Type' } }))).toBe('validation-failed');
  });
});
