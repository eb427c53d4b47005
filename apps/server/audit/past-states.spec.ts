import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { changesOf } from '#audit';
import { createAggregates } from '#command-pipeline';
import { eventStream, formatInstant, isRefusal, type JsonObject, type Site, stored, streamOf } from '#kernel';
import { subscriptionView, untriedHealth } from '#read-models';
import { evolveSubscription, initialSubscription, type SubscriptionEvent, type SubscriptionState } from '#subscriptions';
import { asKim, type GovernedWorld, governedWorld, rootKey, sam, site, upsertOf } from '../../../test/support/governed-world.ts';
import { approvalAnswer } from '../approvals/approvals.ts';
import { policyAnswer } from '../approvals/policies.ts';
import { createCurrentState } from '../current-state.ts';
import { type PastState, stateAsOf } from './past-states.ts';

const ids = ['whs_a', 'whs_b'] as const;
const gated = 'RotateWebhookSubscriptionSecret';

async function at(world: GovernedWorld, id: string, asOf: Parameters<typeof stateAsOf>[3], where: Site = site): Promise<PastState> {
  const found = await stateAsOf(world.store, world.clock, { site: where, id }, asOf);
  if (found === undefined || isRefusal(found)) throw new Error(`${id}: ${JSON.stringify(found)}`);
  return found;
}
const state = ({ stateText }: PastState): unknown => JSON.parse(stateText);

interface Live {
  readonly revision: number;
  readonly text: string;
}

/** What `GET` answers now: a subscription without what stands beside its state. */
async function live(world: GovernedWorld, id: string): Promise<Live> {
  if (id === gated) return await livePolicy(world);
  return id.startsWith('apr_') ? await liveApproval(world, id) : await liveSubscription(world, id);
}

const current = (world: GovernedWorld) => createCurrentState(world, createAggregates(world.store));

async function livePolicy(world: GovernedWorld): Promise<Live> {
  const record = await current(world).policy(site, gated);
  return { revision: record.revision, text: JSON.stringify(policyAnswer(site, record)) };
}

async function liveApproval(world: GovernedWorld, id: string): Promise<Live> {
  const record = await current(world).approval(site, id);
  return record === undefined ? { revision: 0, text: 'null' } : { revision: record.revision, text: JSON.stringify(approvalAnswer(record)) };
}

async function liveSubscription(world: GovernedWorld, id: string): Promise<Live> {
  const record = await current(world).subscription(site, id);
  return record === undefined ? { revision: 0, text: 'null' } : { revision: record.revision, text: viewText(id, record.revision, record.state, world.clock.now()) };
}

function viewText(id: string, revision: number, folded: Exclude<SubscriptionState, { status: 'NONE' }>, nowMs: number): string {
  const { health: _health, ...view } = subscriptionView({ site, id, revision, state: folded, health: untriedHealth, nowMs });
  return JSON.stringify(view);
}

type Step = { readonly do: 'upsert' | 'pause' | 'resume' | 'delete' | 'restore' | 'rotate' | 'ask' | 'grant' | 'deny' | 'withdraw' | 'revoke' | 'policy'; readonly which: number; readonly how: number; readonly waitMs: number };

const steps = fc.array(
  fc.record<Step>({
    do: fc.constantFrom('upsert', 'upsert', 'pause', 'resume', 'delete', 'restore', 'rotate', 'rotate', 'ask', 'ask', 'grant', 'grant', 'deny', 'withdraw', 'revoke', 'policy'),
    which: fc.nat(1),
    how: fc.nat(3),
    waitMs: fc.integer({ min: 1, max: 120_000 }),
  }),
  { minLength: 5, maxLength: 25 },
);

const step = (what: Step['do'], how = 0, waitMs = 1_000): Step => ({ do: what, which: 0, how, waitMs });

/** A history in which approvals and a subscription come to every end that the random ones may miss. */
const eventful: readonly Step[] = [
  step('upsert'), step('ask'), step('grant'), step('rotate', 2), step('ask'), step('policy', 1), step('ask'), step('deny'), step('policy', 2), step('ask'), step('grant'), step('revoke'), step('ask'), step('withdraw'),
  step('ask'), step('pause', 0, 11 * 60_000), step('upsert', 3), step('delete'), step('restore'), step('resume'), step('delete'),
];

/** Does something, or is refused: both are part of a history. Answers the approval it has asked for. */
async function take(world: GovernedWorld, step: Step, approvals: readonly string[]): Promise<string | undefined> {
  const id = ids[step.which] ?? 'whs_a';
  const approvalId = approvals[approvals.length - 1 - step.how] ?? 'apr_none';
  const onSubscription = { webhookSubscriptionId: id };
  const send = (type: string, payload: JsonObject, more: object = {}) => world.send(type, payload, more);
  switch (step.do) {
    case 'upsert':
      return void (await send('UpsertWebhookSubscription', upsertOf(id, { eventPattern: `version.p${step.how}`, status: step.how === 3 ? 'PAUSED' : 'ACTIVE', description: step.how === 0 ? 'x' : null })));
    case 'pause':
      return void (await send('PauseWebhookSubscription', onSubscription));
    case 'resume':
      return void (await send('ResumeWebhookSubscription', onSubscription));
    case 'delete':
      return void (await send('DeleteWebhookSubscription', onSubscription));
    case 'restore':
      return void (await send('RestoreWebhookSubscription', onSubscription));
    case 'rotate':
      return void (await send(gated, { ...onSubscription, graceSeconds: step.how * 60 }));
    case 'policy':
      return void (await send('SetApprovalPolicy', { commandType: gated, minApprovals: 1 + (step.how % 2) }, { caller: rootKey }));
    case 'ask': {
      const answer = await send('RequestApproval', { commandType: gated, resourceId: id, expiresOn: formatInstant(world.clock.now() + 10 * 60_000) });
      return isRefusal(answer) ? undefined : answer.resourceId;
    }
    case 'grant': {
      const { revision } = await live(world, approvalId);
      return void (await send('GrantApproval', { approvalId }, { ...asKim, expectedRevision: revision }));
    }
    case 'deny':
      return void (await send('DenyApproval', { approvalId, reason: 'no' }, asKim));
    case 'withdraw':
      return void (await send('WithdrawApproval', { approvalId }));
    case 'revoke':
      return void (await send('RevokeApproval', { approvalId, reason: 'no' }, asKim));
  }
}

interface Seen extends Live {
  readonly id: string;
  readonly position: string;
  readonly atMs: number;
}

/** Everything that was there, as it was after each step. */
async function lived(world: GovernedWorld, history: readonly Step[]): Promise<readonly Seen[]> {
  const approvals: string[] = [];
  const seen: Seen[] = [];
  for (const step of history) {
    await world.clock.advance(step.waitMs);
    const asked = await take(world, step, approvals);
    if (asked !== undefined && !approvals.includes(asked)) approvals.push(asked);
    for (const id of [...ids, gated, ...approvals]) seen.push({ id, ...(await live(world, id)), position: await world.store.head(), atMs: world.clock.now() });
  }
  const changed = new Set(changesOf(await world.events()).map(({ stream }) => stream));
  return seen.filter(({ id }) => id === gated || changed.has(streamOf(id.startsWith('apr_') ? 'approval' : 'webhooksubscription', site, id)));
}

const statusOf = ({ text }: Live): string => (JSON.parse(text) as { status?: string } | null)?.status ?? 'none';

async function mustBeAsSeen(world: GovernedWorld, seen: Seen): Promise<void> {
  const { id, revision, text, position, atMs } = seen;
  const isApproval = id.startsWith('apr_');
  expect([id, (await at(world, id, { timeMs: atMs })).stateText]).toEqual([id, text]);
  // Between its events an approval changes with time, with its policy and with its resource.
  if (statusOf(seen) !== 'EXPIRED') expect([id, withoutTime((await at(world, id, { position })).stateText)]).toEqual([id, withoutTime(text)]);
  if (!isApproval) expect([id, withoutTime((await at(world, id, { revision })).stateText)]).toEqual([id, withoutTime(text)]);
}

async function mustBeTheFold(world: GovernedWorld, id: string): Promise<void> {
  const changes = changesOf(await world.store.readStream(streamOf('webhooksubscription', site, id)));
  let folded: SubscriptionState = initialSubscription;
  for (const [index, change] of changes.entries()) {
    const event = stored<SubscriptionEvent>(change);
    folded = evolveSubscription(folded, event);
    const past = await at(world, id, { revision: index + 1 });
    const stateText = folded.status === 'NONE' ? 'null' : viewText(id, index + 1, folded, event.recordedAt);
    expect(past).toEqual({ kind: 'SUBSCRIPTION', revision: index + 1, position: change.position, recordedAtMs: event.recordedAt, stateText });
    expect(await at(world, id, { position: change.position })).toEqual(past);
    const isLastOfItsTime = changes[index + 1]?.metadata['recordedat'] !== change.metadata['recordedat'];
    if (isLastOfItsTime) expect(await at(world, id, { timeMs: event.recordedAt })).toEqual(past);
  }
  if (changes.length > 0) expect(await at(world, id, { revision: 0 })).toEqual({ kind: 'SUBSCRIPTION', revision: 0, position: null, recordedAtMs: null, stateText: 'null' });
}

describe('the state of a resource as of any moment', () => {
  it('is what GET answered then: by revision, by position and by time', async () => {
    const statuses = new Set<string>();
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const world = governedWorld();
        const seen = await lived(world, history);
        for (const one of seen) {
          statuses.add(`${one.id.slice(0, 3)} ${statusOf(one)}`);
          await mustBeAsSeen(world, one);
        }
        for (const { id, revision, text, atMs } of seen) if (atMs === world.clock.now()) expect(await at(world, id, undefined)).toMatchObject({ revision, stateText: text });
      }),
      { numRuns: 60, examples: [[[...eventful]]] },
    );
    for (const one of ['whs ACTIVE', 'whs PAUSED', 'whs DELETED', 'apr PENDING', 'apr APPROVED', 'apr CONSUMED', 'apr DENIED', 'apr REVOKED', 'apr WITHDRAWN', 'apr EXPIRED', 'apr INVALIDATED']) expect([...statuses]).toContain(one);
  }, 120_000);

  it('is at every revision, also within one command, the fold of the log up to it, and position and time agree', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const world = governedWorld();
        await lived(world, history);
        for (const id of ids) await mustBeTheFold(world, id);
      }),
      { numRuns: 40, examples: [[[...eventful]]] },
    );
  }, 120_000);
});

/** Whether a replaced secret still signs is a matter of the time: a revision and a position have that of their event. */
const withoutTime = (text: string): string => text.replace(/"graceUntil":("[^"]*"|null)/, '"graceUntil":0').replace(/"overdue":(true|false)/, '"overdue":0');

describe('a state', () => {
  it('is refused beyond what there is, with what is the newest', async () => {
    const world = governedWorld();
    await world.must('UpsertWebhookSubscription', upsertOf('whs_a'));
    const of = (asOf: Parameters<typeof stateAsOf>[3]) => stateAsOf(world.store, world.clock, { site, id: 'whs_a' }, asOf);
    expect(await of({ revision: 2 })).toMatchObject({ refused: 'validation-failed', detail: expect.stringContaining('revision 1'), members: { errors: [{ path: 'asOf' }] } });
    expect(await of({ position: '99' })).toMatchObject({ refused: 'position-unknown', members: { head: await world.store.head() } });
    expect(await of({ timeMs: world.clock.now() + 1 })).toMatchObject({ refused: 'validation-failed', detail: expect.stringContaining('2026-11-21T12:00:00.000Z') });
    expect(await of({ timeMs: world.clock.now() })).toMatchObject({ revision: 1 });
  });

  it('is of nothing where nothing ever had the id, in this site', async () => {
    const world = governedWorld();
    await world.must('UpsertWebhookSubscription', upsertOf('whs_a'));
    for (const id of ['whs_b', 'no id', 'Ünnamed', '', 'whs_a.b']) expect(await stateAsOf(world.store, world.clock, { site, id }, undefined)).toBeUndefined();
    expect(await stateAsOf(world.store, world.clock, { site: { ...site, environment: 'staging' }, id: 'whs_a' }, undefined)).toBeUndefined();
  });

  it('is of a policy what held by default before it was ever set', async () => {
    const world = governedWorld();
    await world.must('SetApprovalPolicy', { commandType: gated, minApprovals: 2 }, { caller: rootKey });
    expect(state(await at(world, gated, { revision: 0 }))).toMatchObject({ commandType: gated, required: true, minApprovals: 1, revision: 0 });
    expect(state(await at(world, gated, undefined))).toMatchObject({ minApprovals: 2, revision: 1 });
    expect(state(await at(world, 'PauseWebhookSubscription', undefined))).toMatchObject({ required: false, revision: 0 });
  });

  it('is of a key without its hash, before and after it was revoked', async () => {
    const world = governedWorld();
    const { resourceId: keyId } = await world.must('CreateApiKey', { name: 'ci', scopes: ['site:tnt_demo:write'], actor: { type: 'USER', id: 'ann' } }, { caller: rootKey });
    await world.clock.advance(1_000);
    await world.must('RevokeApiKey', { keyId }, { caller: rootKey });
    const past = await at(world, keyId, { revision: 1 });
    expect([past.kind, state(past)]).toEqual(['API_KEY', expect.objectContaining({ id: keyId, name: 'ci', status: 'ACTIVE', revokedAt: null })]);
    expect(state(await at(world, keyId, undefined))).toMatchObject({ status: 'REVOKED', revokedAt: '2026-11-21T12:00:01.000Z' });
    expect(past.stateText).not.toMatch(/sha256|kf_/i);
  });

  it('is of a published event its text, and nothing before it was published', async () => {
    const world = governedWorld();
    const metadata = { recordedat: formatInstant(world.clock.now()), tenant: site.tenant, environment: site.environment, publishedid: 'Order/7', publishedtype: 'a.b' };
    await world.must('UpsertWebhookSubscription', upsertOf('whs_a'));
    await world.store.append(eventStream(site, 'Order/7'), 'NO_STREAM', [{ id: '00000000-0000-4000-8000-000000000002', type: 'EventPublished', data: '{"big": 9007199254740993}', metadata }]);
    const past = await at(world, 'Order/7', undefined);
    expect([past.kind, past.revision]).toEqual(['EVENT', 1]);
    expect(past.stateText).toContain('"data":{"big": 9007199254740993}');
    expect(await at(world, 'Order/7', { position: '1' })).toMatchObject({ revision: 0, stateText: 'null' });
  });

  it('is of a delivery what it was before its subscription was deleted, and cancelled after', async () => {
    const world = governedWorld();
    await world.must('UpsertWebhookSubscription', upsertOf('whs_a'));
    const [created] = (await world.events()).filter(({ type }) => type === 'WebhookSubscriptionCreated');
    const metadata = { recordedat: formatInstant(world.clock.now()), actortype: 'SYSTEM', actorid: 'fan-out' };
    const data = { subscriptionId: 'whs_a', incarnation: created?.id, eventId: 'e1', eventType: 'a.b', eventPosition: '1', eventStream: 'event-tnt_demo.production.e1', operational: false };
    await world.store.append('webhookdelivery-tnt_demo.production.dlv_1', 'NO_STREAM', [{ id: '00000000-0000-4000-8000-000000000003', type: 'WebhookDeliveryScheduled', data: JSON.stringify(data), metadata }]);
    const before = await world.store.head();
    await world.clock.advance(1_000);
    await world.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_a' }, { actor: sam });
    expect(state(await at(world, 'dlv_1', { position: before }))).toMatchObject({ id: 'dlv_1', status: 'PENDING' });
    expect(state(await at(world, 'dlv_1', { revision: 1 }))).toMatchObject({ status: 'PENDING' });
    expect(state(await at(world, 'dlv_1', undefined))).toMatchObject({ status: 'CANCELLED', reason: 'subscription-deleted' });
  });
});
