import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import type { Api} from '../support/e2e/api.ts';
import { type Answer, type CommandOptions, demo, sam, slugOf } from '../support/e2e/api.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';

jest.setTimeout(30_000);

const fifty = Array.from({ length: 50 }, (_, index) => index);
const target = 'https://127.0.0.1:9/never';
const settings = { eventPattern: 'never.matched', targetUrl: target, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };

interface Counted {
  /** Answers that show a secret. */
  readonly shown: readonly Answer[];
  /** Answers 200 of a replay, whose secret is null. */
  readonly replayed: readonly Answer[];
  readonly refused: readonly Answer[];
}

function count(answers: readonly Answer[]): Counted {
  const secretOf = ({ body }: Answer): unknown => (body['result'] as { secret?: unknown } | undefined)?.secret;
  const done = answers.filter(({ status }) => status === 200);
  return { shown: done.filter((answer) => typeof secretOf(answer) === 'string'), replayed: done.filter((answer) => secretOf(answer) === null), refused: answers.filter(({ status }) => status !== 200) };
}

describe('fifty requests at once with one idempotency key', () => {
  let installation: Installation;
  let inbox: Inbox;
  let api: Api;
  let log: readonly RecordedEvent[];
  let created: Counted;
  let rotated: Counted;
  let mixed: Counted;
  let published: readonly Answer[];

  beforeAll(async () => {
    inbox = await Inbox.start();
    installation = await Installation.start();
    api = installation.root;
    const send = (type: string, payload: (index: number) => object, options: CommandOptions): Promise<Answer[]> => Promise.all(fifty.map((index) => api.command(type, payload(index), options)));

    created = count(await send('UpsertWebhookSubscription', () => settings, { idempotencyKey: 'create-once' }));

    await api.do('UpsertWebhookSubscription', { ...settings, webhookSubscriptionId: 'rotated' });
    const approver = await api.person('usr_kim');
    const { resourceId: approvalId, revision } = await api.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'rotated', expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
    await api.as(approver.text).do('GrantApproval', { approvalId }, { actor: { type: 'USER', id: 'usr_kim' }, expectedRevision: revision });
    rotated = count(await send('RotateWebhookSubscriptionSecret', () => ({ webhookSubscriptionId: 'rotated' }), { idempotencyKey: 'rotate-once' }));

    mixed = count(await send('UpsertWebhookSubscription', (index) => ({ ...settings, webhookSubscriptionId: `mixed-${index}` }), { idempotencyKey: 'fifty-meanings' }));

    await api.subscribe(inbox.url('published'), 'one.event');
    const event = { eventId: 'one-event', type: 'one.event', data: { n: 1 } };
    published = await Promise.all(fifty.map(() => api.ask('POST', `/api/events?siteId=${demo}`, { body: event })));
    await api.publishOne({ eventId: 'the-last', type: 'one.event', data: {} });
    await inbox.arrived('published', 2);

    await installation.stop();
    log = await installation.home.readLog();
  }, 60_000);
  afterAll(async () => {
    await inbox?.close();
    await installation?.end();
  });

  const receipts = (commandType: string, resourceId: unknown): number =>
    log.filter(({ type, data }) => type === 'CommandExecuted' && (JSON.parse(data) as { commandType: string; resourceId: string }).commandType === commandType && (JSON.parse(data) as { resourceId: string }).resourceId === resourceId).length;

  const areInFlight = (refused: readonly Answer[]): void => {
    for (const answer of refused) expect([answer.status, slugOf(answer), answer.headers.get('retry-after')]).toEqual([409, 'idempotency-request-in-flight', expect.stringMatching(/^\d+$/)]);
  };

  it('create one subscription and show its secret in one answer', () => {
    expect(created.shown).toHaveLength(1);
    expect(created.shown.length + created.replayed.length + created.refused.length).toBe(50);
    areInFlight(created.refused);
    const id = created.shown[0]?.body['resourceId'];
    for (const replay of created.replayed) {
      expect(replay.headers.get('idempotency-replayed')).toBe('true');
      expect(replay.body).toMatchObject({ resourceId: id, commandId: created.shown[0]?.body['commandId'], replayed: true });
    }
    expect(log.filter(({ type, stream }) => type === 'WebhookSubscriptionCreated' && stream === `webhooksubscription-${demo}.production.${String(id)}`)).toHaveLength(1);
    expect(receipts('UpsertWebhookSubscription', id)).toBe(1);
  });

  it('rotate one secret, use one approval, and show the new secret in one answer', () => {
    expect(rotated.shown).toHaveLength(1);
    areInFlight(rotated.refused);
    const stream = log.filter((event) => event.stream === `webhooksubscription-${demo}.production.rotated`).map(({ type }) => type);
    expect(stream.filter((type) => type === 'WebhookSubscriptionSecretRotated')).toHaveLength(1);
    expect(stream.filter((type) => type === 'ApprovalConsumed')).toHaveLength(1);
    expect(receipts('RotateWebhookSubscriptionSecret', 'rotated')).toBe(1);
  });

  it('mean one thing: with fifty payloads one takes effect, and the others are refused', () => {
    expect([mixed.shown.length, mixed.replayed.length]).toEqual([1, 0]);
    for (const answer of mixed.refused) expect([[409, 'idempotency-request-in-flight'], [422, 'idempotency-key-reused']]).toContainEqual([answer.status, slugOf(answer)]);
    expect(log.filter(({ type, stream }) => type === 'WebhookSubscriptionCreated' && stream.includes('.mixed-'))).toHaveLength(1);
  });

  it('publish one event, which is delivered once', () => {
    expect(published.map(({ status }) => status)).toEqual(fifty.map(() => 200));
    const items = published.map(({ body }) => (body['items'] as { status: string }[])[0]?.status);
    expect(items.filter((status) => status === 'ACCEPTED')).toHaveLength(1);
    expect(items.filter((status) => status === 'DUPLICATE')).toHaveLength(49);
    expect(inbox.in('published').map(({ event }) => event.id).sort()).toEqual(['one-event', 'the-last']);
  });

  it('were all sent by the actor they name', () => {
    const actors = log.filter(({ type, metadata }) => type === 'CommandExecuted' && metadata['commandtype'] === 'UpsertWebhookSubscription').map(({ metadata }) => metadata['actorid']);
    expect(new Set(actors)).toEqual(new Set([sam.id]));
  });
});
