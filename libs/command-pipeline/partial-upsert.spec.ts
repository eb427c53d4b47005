import { beforeEach, describe, expect, it } from '@jest/globals';
import { type CommandAnswer, createAggregates, subscriptionFold } from '#command-pipeline';
import { formatInstant, isRefusal, type JsonObject, type Refusal, streamOf } from '#kernel';
import type { SubscriptionState } from '#subscriptions';
import { asKim, commandOf, governedWorld, type GovernedWorld, rootKey, site, through, upsertOf } from '../../test/support/governed-world.ts';

const upsert = 'UpsertWebhookSubscription';
const stream = streamOf('webhooksubscription', site, 'whs_1');

let at: GovernedWorld;

beforeEach(() => {
  at = governedWorld();
});

const change = (more: JsonObject): JsonObject => ({ webhookSubscriptionId: 'whs_1', ...more });
const stateNow = async (): Promise<SubscriptionState> => (await createAggregates(at.store).load(stream, subscriptionFold)).state;

interface Template {
  readonly payload: JsonObject & { readonly payload?: JsonObject };
}

const templateOf = (answer: CommandAnswer | Refusal): Template => {
  if (!isRefusal(answer)) throw new Error('it was not refused');
  return answer.members?.['approvalRequest'] as Template;
};

async function grantAskedAs({ payload }: Template): Promise<void> {
  const { resourceId, revision } = await at.must('RequestApproval', payload);
  await at.must('GrantApproval', { approvalId: resourceId }, { ...asKim, expectedRevision: revision });
}

describe('an upsert that says only what changes', () => {
  it('leaves everything else as it is, the secret too', async () => {
    await at.must(upsert, upsertOf('whs_1', { description: 'orders', deliveryMode: 'ORDERED' }));
    const before = await stateNow();
    expect(await at.must(upsert, change({ targetUrl: 'https://receiver.example/new' }))).toMatchObject({ outcome: 'APPLIED', revision: 2, secret: null, result: { created: false, status: 'ACTIVE' } });
    const { updatedAtMs: _, ...after } = (await stateNow()) as Exclude<SubscriptionState, { status: 'NONE' }>;
    expect({ ...before, targetUrl: 'https://receiver.example/new' }).toMatchObject(after);
  });

  it.each(['env:KF_WEBHOOK_SECRET_ORDERS', 'file:orders'])('keeps a secret that is named by reference (%s)', async (signingSecretRef) => {
    await at.must(upsert, upsertOf('whs_1', { signingSecretRef }));
    expect(await at.must(upsert, change({ description: 'orders' }))).toMatchObject({ outcome: 'APPLIED' });
    expect(await stateNow()).toMatchObject({ description: 'orders', secret: { reference: signingSecretRef } });
  });

  it('clears a description with null, and keeps one that it does not name', async () => {
    await at.must(upsert, upsertOf('whs_1', { description: 'orders' }));
    await at.must(upsert, change({ eventPattern: 'claim.**' }));
    expect(await stateNow()).toMatchObject({ description: 'orders', eventPattern: 'claim.**' });
    await at.must(upsert, change({ description: null }));
    expect(await stateNow()).toMatchObject({ description: null });
  });

  it('keeps a retry schedule that it does not name, and takes it back with null', async () => {
    await at.must(upsert, upsertOf('whs_1', { retrySchedule: '0s, 60s,2h' }));
    await at.must(upsert, change({ description: 'orders' }));
    expect(await stateNow()).toHaveProperty('retryScheduleMs', [0, 60_000, 7_200_000]);
    expect(await at.must(upsert, change({ retrySchedule: '0ms,1m,120m' }))).toMatchObject({ outcome: 'NO_CHANGE' });
    await at.must(upsert, change({ retrySchedule: null }));
    expect(await stateNow()).not.toHaveProperty('retryScheduleMs');
  });

  it('keeps a filter that it does not name, and takes it back with null', async () => {
    await at.must(upsert, upsertOf('whs_1', { filter: 'data.amount > 100' }));
    await at.must(upsert, change({ description: 'orders' }));
    expect(await stateNow()).toHaveProperty('filter', 'data.amount > 100');
    expect(await at.must(upsert, change({ filter: 'data.amount > 100' }))).toMatchObject({ outcome: 'NO_CHANGE' });
    await at.must(upsert, change({ filter: null }));
    expect(await stateNow()).not.toHaveProperty('filter');
  });

  it('says where a filter is wrong, and changes nothing', async () => {
    await at.must(upsert, upsertOf('whs_1'));
    for (const [filter, wrong] of [['data.amount >', 'is wrong at character 14'], ['amount > 100', 'amount is unknown'], ['data.id.matches("a+")', 'matches() is not available']] as const) {
      const refused = await at.send(upsert, change({ filter }));
      expect(refused).toMatchObject({ refused: 'validation-failed', members: { errors: [{ path: 'payload.filter', message: expect.stringContaining(wrong) }] } });
    }
    expect(await stateNow()).not.toHaveProperty('filter');
  });

  it('keeps a rate limit that it does not name, and takes it back with null', async () => {
    await at.must(upsert, upsertOf('whs_1', { rateLimit: 10 }));
    await at.must(upsert, change({ description: 'orders' }));
    expect(await stateNow()).toMatchObject({ description: 'orders', rateLimitPerSecond: 10 });
    expect(await at.must(upsert, change({ rateLimit: 10 }))).toMatchObject({ outcome: 'NO_CHANGE' });
    await at.must(upsert, change({ rateLimit: null }));
    expect(await stateNow()).not.toHaveProperty('rateLimitPerSecond');
  });

  it('keeps labels that it does not name, replaces all of those that it does, and takes them away with null or none', async () => {
    await at.must(upsert, upsertOf('whs_1', { labels: { team: 'orders', tier: '1' } }));
    await at.must(upsert, change({ description: 'orders' }));
    expect(await stateNow()).toHaveProperty('labels', { team: 'orders', tier: '1' });
    await at.must(upsert, change({ labels: { tier: '2' } }));
    expect(await stateNow()).toHaveProperty('labels', { tier: '2' });
    for (const none of [null, {}]) {
      await at.must(upsert, change({ labels: { tier: '2' } }));
      await at.must(upsert, change({ labels: none }));
      expect(await stateNow()).not.toHaveProperty('labels');
    }
  });

  it('keeps a timeout that it does not name, and takes it back with null', async () => {
    await at.must(upsert, upsertOf('whs_1', { timeoutMs: 5_000 }));
    await at.must(upsert, change({ description: 'orders' }));
    expect(await stateNow()).toMatchObject({ description: 'orders', timeoutMs: 5_000 });
    await at.must(upsert, change({ timeoutMs: null }));
    expect(await stateNow()).not.toHaveProperty('timeoutMs');
  });

  it('changes nothing when everything is so already', async () => {
    await at.must(upsert, upsertOf('whs_1'));
    expect(await at.must(upsert, change({ deliveryMode: 'AT_LEAST_ONCE' }))).toMatchObject({ outcome: 'NO_CHANGE', revision: 1 });
    expect(await at.must(upsert, change({ timeoutMs: 15_000 }))).toMatchObject({ outcome: 'NO_CHANGE', revision: 1 });
    expect(await at.must(upsert, change({ labels: {} }))).toMatchObject({ outcome: 'NO_CHANGE', revision: 1 });
  });

  it('never creates: there must be such a subscription, and it must not be deleted', async () => {
    expect(await at.refused(upsert, change({ description: 'orders' }))).toBe('not-found');
    expect(await at.refused(upsert, change({ description: 'orders' }), { expectedRevision: 3 })).toBe('not-found');
    await at.must(upsert, upsertOf('whs_1'));
    await at.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    expect(await at.refused(upsert, change({ description: 'orders' }))).toBe('subscription-deleted');
  });

  it('is the same request again whatever others changed in between', async () => {
    await at.must(upsert, upsertOf('whs_1'));
    const first = await at.must(upsert, change({ description: 'orders' }), { idempotencyKey: 'k' });
    await at.must(upsert, change({ targetUrl: 'https://receiver.example/new' }));
    expect(await at.must(upsert, change({ description: 'orders' }), { idempotencyKey: 'k' })).toEqual({ ...first, replayed: true });
    expect(await at.refused(upsert, change({ description: 'claims' }), { idempotencyKey: 'k' })).toBe('idempotency-key-reused');
  });

  it('loses nothing that another process writes at the same moment', async () => {
    await at.must(upsert, upsertOf('whs_1'));
    let raced = false;
    const slow = at.another((inner) => ({
      ...through(inner),
      append: async (...args) => {
        if (!raced && args[0] === stream) {
          raced = true;
          await at.must(upsert, change({ targetUrl: 'https://receiver.example/new' }));
          await at.must('PauseWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
        }
        return await inner.append(...args);
      },
    }));
    expect(await slow.execute(commandOf(upsert, change({ description: 'orders' }), { idempotencyKey: 'slow' }))).toMatchObject({ outcome: 'APPLIED', revision: 4 });
    expect(await stateNow()).toMatchObject({ status: 'PAUSED', targetUrl: 'https://receiver.example/new', description: 'orders' });
  });

  it('is held to one of several revisions, and to none of an empty list', async () => {
    await at.must(upsert, upsertOf('whs_1'));
    expect(await at.refused(upsert, change({ description: 'a' }), { expectedRevision: [] })).toBe('precondition-failed');
    expect(await at.refused(upsert, change({ description: 'a' }), { expectedRevision: [2, 3] })).toBe('precondition-failed');
    expect(await at.must(upsert, change({ description: 'a' }), { expectedRevision: [3, 1] })).toMatchObject({ revision: 2 });
  });

  it('has a dry run', async () => {
    expect(await at.pipeline.dryRun(commandOf(upsert, change({ description: 'a' }), { idempotencyKey: 'k' }))).toMatchObject({ outcome: 'REFUSED', unmet: [{ refused: 'not-found' }] });
    await at.must(upsert, upsertOf('whs_1'));
    const { outcome, events } = await at.pipeline.dryRun(commandOf(upsert, change({ description: 'a' }), { idempotencyKey: 'k' }));
    expect({ outcome, events }).toMatchObject({ outcome: 'APPLIED', events: [{ type: 'WebhookSubscriptionUpdated', data: { description: 'a', targetUrl: 'https://receiver.example/hook' } }] });
  });
});

describe('an approval of an upsert that is bound to its payload', () => {
  beforeEach(async () => {
    await at.must(upsert, upsertOf('whs_1'));
    await at.must('SetApprovalPolicy', { commandType: upsert, required: true, binding: 'PAYLOAD' }, { caller: rootKey });
  });

  it('asked for as the refusal proposes shows the whole upsert, and lets the partial one pass', async () => {
    const template = templateOf(await at.send(upsert, change({ description: 'orders' })));
    const { webhookSubscriptionId: _, ...whole } = upsertOf('whs_1', { description: 'orders' });
    expect(template.payload).toMatchObject({ resourceId: 'whs_1', payload: whole });
    await grantAskedAs(template);
    expect(await at.must(upsert, change({ description: 'orders' }))).toMatchObject({ outcome: 'APPLIED' });
  });

  it('asked for by the partial one lets the whole one pass, and the other way round', async () => {
    const url = 'https://receiver.example/new';
    await grantAskedAs(templateOf(await at.send(upsert, change({ targetUrl: url }))));
    expect(await at.must(upsert, upsertOf('whs_1', { targetUrl: url }))).toMatchObject({ outcome: 'APPLIED' });
    await grantAskedAs(templateOf(await at.send(upsert, upsertOf('whs_1', { targetUrl: url, deliveryMode: 'ORDERED' }))));
    expect(await at.must(upsert, change({ deliveryMode: 'ORDERED' }))).toMatchObject({ outcome: 'APPLIED' });
  });

  it('says no option that is not set, so that approvals from before there were options hold', async () => {
    const { payload } = templateOf(await at.send(upsert, change({ description: 'orders' })));
    expect(Object.keys(payload.payload ?? {}).sort()).toEqual(['deliveryMode', 'description', 'eventPattern', 'signingSecretRef', 'status', 'targetUrl']);
  });

  it('is for the options too', async () => {
    await grantAskedAs(templateOf(await at.send(upsert, change({ timeoutMs: 5_000 }))));
    expect(await at.refused(upsert, change({ timeoutMs: 6_000 }))).toBe('approval-required');
    expect(await at.must(upsert, upsertOf('whs_1', { timeoutMs: 5_000 }))).toMatchObject({ outcome: 'APPLIED' });
  });

  it('does not let one pass that would come to something else by now', async () => {
    await grantAskedAs(templateOf(await at.send(upsert, change({ description: 'orders' }))));
    await grantAskedAs(templateOf(await at.send(upsert, change({ deliveryMode: 'ORDERED' }))));
    await at.must(upsert, change({ deliveryMode: 'ORDERED' }));
    expect(await at.refused(upsert, change({ description: 'orders' }))).toBe('approval-required');
  });

  it('is not enough to change the status where a pause needs one', async () => {
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }, { caller: rootKey });
    await grantAskedAs(templateOf(await at.send(upsert, change({ status: 'PAUSED' }))));
    const refused = await at.send(upsert, change({ status: 'PAUSED' }));
    expect(templateOf(refused).payload).toMatchObject({ commandType: 'PauseWebhookSubscription' });
    await at.must('RequestApproval', { ...templateOf(refused).payload, expiresOn: formatInstant(at.clock.now() + 3_600_000) });
  });
});

describe('an upsert that says all settings', () => {
  it('takes back what it leaves out: description, filter, timeout, retry schedule, rate limit and labels', async () => {
    await at.must(upsert, upsertOf('whs_1', { description: 'orders', filter: 'data.amount > 100', timeoutMs: 5_000, retrySchedule: '0s', rateLimit: 10, labels: { team: 'orders' } }));
    await at.must(upsert, upsertOf('whs_1'));
    expect(await stateNow()).toMatchObject({ description: null });
    for (const option of ['filter', 'timeoutMs', 'retryScheduleMs', 'rateLimitPerSecond', 'labels']) expect(await stateNow()).not.toHaveProperty(option);
  });
});

describe('an upsert of a new subscription', () => {
  it('has a managed secret, delivers at least once and is active where it does not say', async () => {
    const made = await at.must(upsert, { eventPattern: 'version.*', targetUrl: 'https://receiver.example/hook' }, { idempotencyKey: 'k' });
    expect(made).toMatchObject({ outcome: 'APPLIED', revision: 1, result: { created: true, status: 'ACTIVE' } });
    expect(made.secret?.reveal()).toMatch(/^whsec_/);
    const [created] = await at.events('WebhookSubscriptionCreated');
    expect(JSON.parse(created?.data ?? '')).toMatchObject({ deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE', secret: { kind: 'managed' } });
    expect(await at.must(upsert, { eventPattern: 'version.*', targetUrl: 'https://receiver.example/hook' }, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, secret: null, resourceId: made.resourceId });
  });
});
