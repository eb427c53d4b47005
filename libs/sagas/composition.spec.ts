import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { approvalAnnouncements, type ApprovalEvent, approvalHousekeeping, evolveApproval, initialApproval } from '#approvals';
import { type CommandAnswer, createAggregates, createApprovalUpkeep } from '#command-pipeline';
import { deliveryAnnouncements, subscriptionHealth } from '#deliveries';
import { formatInstant, isLedgerEvent, type JsonObject, type RecordedEvent, stored, streamOf } from '#kernel';
import { operationalEvents } from '#publishing';
import { subscriptionAnnouncements, subscriptionLifecycle } from '#subscriptions';
import { asKim, boundKey, type GovernedWorld, governedWorld, kim, sam, site, upsertOf } from '../../test/support/governed-world.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { createFanOut } from './fan-out.ts';
import type { AnySaga, SagaAlarm, SagaRunner } from './port.ts';
import { createSagaRunner } from './runner.ts';

const hour = 3_600_000;
const day = 24 * hour;
const rotate = 'RotateWebhookSubscriptionSecret';
const subscription = streamOf('webhooksubscription', site, 'whs_1');

const all = (): readonly AnySaga[] => [
  approvalHousekeeping,
  subscriptionHealth(),
  subscriptionLifecycle({ historyDays: 30, transcriptPartitions: 2 }),
  operationalEvents({ ...subscriptionAnnouncements, ...deliveryAnnouncements, ...approvalAnnouncements }),
];

/** The real pipeline and vault over a log in memory, and the sagas beside them. */
class Installation {
  readonly governed: GovernedWorld = governedWorld();
  readonly alarms: SagaAlarm[] = [];
  runner: SagaRunner | undefined;
  #starts = 0;

  get clock(): GovernedWorld['clock'] {
    return this.governed.clock;
  }

  async start(sagas: readonly AnySaga[] = all()): Promise<void> {
    const { world, pipeline, vault, store } = this.governed;
    this.#starts += 1;
    this.runner = createSagaRunner({
      store,
      clock: this.clock,
      ids: seededIds(500 + this.#starts),
      sagas,
      execute: (request) => pipeline.execute(request),
      vault,
      approvals: createApprovalUpkeep(world, createAggregates(store)),
      onAlarm: (alarm) => this.alarms.push(alarm),
    });
    this.runner.start();
    await this.clock.advance(0);
  }

  async stop(): Promise<void> {
    await this.runner?.stop();
    expect(this.alarms).toEqual([]);
    this.runner = undefined;
  }

  /** Time passes in one jump, as over a night in which nothing runs that counts; then a little more. */
  async jump(ms: number): Promise<void> {
    this.clock.setNow(this.clock.now() + ms);
    await this.clock.advance(6_000);
  }

  /** Writes to the end of a stream past the pipeline. */
  async write(stream: string, type: string, data: object): Promise<RecordedEvent> {
    const { store, log, world } = this.governed;
    const written = log.streams.get(stream)?.length ?? 0;
    const metadata = { recordedat: formatInstant(this.clock.now()), schemaversion: '1', tenant: site.tenant, environment: site.environment };
    await store.append(stream, written === 0 ? 'NO_STREAM' : written - 1, [{ id: world.ids.uuid(), type, data: JSON.stringify(data), metadata }]);
    return log.streams.get(stream)?.at(-1) ?? Promise.reject(new Error(stream));
  }

  typesOf(stream: string): readonly string[] {
    return (this.governed.log.streams.get(stream) ?? []).map(({ type }) => type).filter((type) => type !== 'CommandExecuted');
  }

  count(type: string): number {
    return this.governed.log.events.filter((event) => event.type === type).length;
  }

  status(approvalId: string): string {
    const facts = (this.governed.log.streams.get(streamOf('approval', site, approvalId)) ?? []).filter((event) => !isLedgerEvent(event));
    return facts.map((event) => stored<ApprovalEvent>(event)).reduce(evolveApproval, initialApproval).status;
  }

  async requested(more: JsonObject = {}): Promise<string> {
    const { result } = await this.governed.must('RequestApproval', { commandType: rotate, resourceId: 'whs_1', expiresOn: formatInstant(this.clock.now() + 8 * hour), ...more });
    return result['approvalId'] as string;
  }

  async granted(more: JsonObject = {}): Promise<string> {
    const approvalId = await this.requested(more);
    await this.governed.must('GrantApproval', { approvalId }, { ...asKim, expectedRevision: 1 });
    return approvalId;
  }

  rotates(approvalId: string): Promise<CommandAnswer> {
    return this.governed.must(rotate, { webhookSubscriptionId: 'whs_1' }, { approvalId });
  }

  policy(commandType: string, more: JsonObject): Promise<CommandAnswer> {
    const caller = { ...boundKey(sam), isAdmin: true };
    return this.governed.must('SetApprovalPolicy', { commandType, ...more }, { caller });
  }

  /** The types of operational events published, in log order. */
  get published(): readonly (string | undefined)[] {
    return this.governed.log.events.filter(({ type }) => type === 'EventPublished').map(({ metadata }) => metadata['publishedtype']);
  }
}

async function installation(): Promise<Installation> {
  const one = new Installation();
  await one.governed.must('UpsertWebhookSubscription', upsertOf('whs_1'));
  await one.start();
  return one;
}

describe('approval housekeeping', () => {
  it('mirrors a use into the approval', async () => {
    const one = await installation();
    const approvalId = await one.granted();
    const { commandId } = await one.rotates(approvalId);
    await one.clock.advance(0);
    const stream = streamOf('approval', site, approvalId);
    expect(one.typesOf(stream)).toEqual(['ApprovalRequested', 'ApprovalVoteCast', 'ApprovalGranted', 'ApprovalUseMirrored']);
    const mirror = one.governed.log.streams.get(stream)?.at(-1);
    expect(JSON.parse(mirror?.data ?? '')).toMatchObject({ commandId });
    expect(mirror?.metadata).toMatchObject({ ...site, approvalid: approvalId, actortype: 'SYSTEM', actorid: 'approval-housekeeping' });
    await one.jump(day);
    expect(one.status(approvalId)).toBe('CONSUMED');
    await one.stop();
  });

  it('repeats the fence of a revocation whose process died before it was acknowledged', async () => {
    const one = await installation();
    const approvalId = await one.granted();
    await one.write(streamOf('approval', site, approvalId), 'ApprovalRevoked', { by: kim, reason: 'no' });
    await one.clock.advance(14_000);
    expect(one.count('ApprovalFenced')).toBe(0);
    await one.clock.advance(2_000);
    expect(one.typesOf(subscription)).toEqual(['WebhookSubscriptionCreated', 'ApprovalFenced']);
    await one.stop();
  });

  it('leaves alone what was fenced by the command itself', async () => {
    const one = await installation();
    const approvalId = await one.granted();
    await one.governed.must('RevokeApproval', { approvalId, reason: 'no' }, asKim);
    await one.clock.advance(60_000);
    expect(one.count('ApprovalFenced')).toBe(1);
    await one.stop();
  });

  it('finds that an approval was used before its revocation could be fenced', async () => {
    const one = await installation();
    await one.stop();
    const approvalId = await one.granted();
    const stream = streamOf('approval', site, approvalId);
    await one.rotates(approvalId);
    await one.write(stream, 'ApprovalRevoked', { by: kim, reason: 'no' });
    await one.start();
    await one.clock.advance(60_000);
    expect(one.status(approvalId)).toBe('CONSUMED');
    expect(one.count('ApprovalFenced')).toBe(0);
    await one.stop();
  });

  it('records expiry when it comes, and not before', async () => {
    const one = await installation();
    const [pending, approved] = [await one.requested({ reason: 'other' }), await one.granted()];
    await one.clock.advance(8 * hour - 1);
    expect([pending, approved].map((id) => one.status(id))).toEqual(['PENDING', 'APPROVED']);
    await one.clock.advance(1);
    expect([pending, approved].map((id) => one.status(id))).toEqual(['EXPIRED', 'EXPIRED']);
    await one.stop();
  });

  it('reminds at dueOn, and ends an undecided approval then where the policy says so', async () => {
    const one = await installation();
    const dueOn = formatInstant(one.clock.now() + hour);
    const reminded = await one.requested({ dueOn });
    await one.policy('PauseWebhookSubscription', { required: true, minApprovals: 1, dueOnMode: 'closesDecision' });
    const closed = await one.requested({ commandType: 'PauseWebhookSubscription', dueOn });
    const decided = await one.requested({ commandType: 'PauseWebhookSubscription', dueOn, reason: 'other' });
    await one.governed.must('GrantApproval', { approvalId: decided }, { ...asKim, expectedRevision: 1 });
    await one.clock.advance(hour - 1);
    expect(one.count('ApprovalDueReminded')).toBe(0);
    await one.clock.advance(hour);
    expect([reminded, closed, decided].map((id) => one.status(id))).toEqual(['PENDING', 'EXPIRED', 'APPROVED']);
    expect(one.count('ApprovalDueReminded')).toBe(1);
    await one.stop();
  });

  it('records that another policy has ended an approval, and only one under that policy', async () => {
    const one = await installation();
    const [ended, kept] = [await one.requested(), await one.requested({ commandType: 'PauseWebhookSubscription' })];
    await one.policy(rotate, { required: true, minApprovals: 1, executor: 'ANYONE' });
    await one.clock.advance(20_000);
    expect([ended, kept].map((id) => one.status(id))).toEqual(['INVALIDATED', 'PENDING']);
    await one.stop();
  });

  it('records that another incarnation of the resource has ended an approval', async () => {
    const one = await installation();
    await one.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.jump(20 * day);
    const approvalId = await one.requested({ commandType: 'RestoreWebhookSubscription', expiresOn: formatInstant(one.clock.now() + 25 * day) });
    await one.jump(10 * day);
    expect(one.count('WebhookSubscriptionPurged')).toBe(1);
    expect(one.status(approvalId)).toBe('PENDING');
    await one.clock.advance(20_000);
    expect(one.status(approvalId)).toBe('INVALIDATED');
    await one.stop();
  });

  it('does not take the creation that used an approval for a change that ends it', async () => {
    const one = await installation();
    await one.policy('UpsertWebhookSubscription', { required: true, minApprovals: 1, binding: 'RESOURCE' });
    const ask = { commandType: 'UpsertWebhookSubscription', resourceId: 'whs_2' };
    const [used, unused] = [await one.granted(ask), await one.granted({ ...ask, reason: 'other' })];
    await one.governed.must('UpsertWebhookSubscription', upsertOf('whs_2'), { approvalId: used });
    await one.clock.advance(20_000);
    expect([used, unused].map((id) => one.status(id))).toEqual(['CONSUMED', 'INVALIDATED']);
    expect(one.published.filter((type) => type === 'approval.invalidated')).toHaveLength(1);
    await one.stop();
  });

  it('comes to the same end in whatever order the streams are met', async () => {
    const approval = (id: string): string => streamOf('approval', site, id);
    const request = (expiresOn: string): object => ({ binding: { commandType: rotate, resourceId: 'whs_1', incarnation: 'NONE', level: 'RESOURCE', actionDigest: null, policyVersion: 0 }, policy: { dueOnMode: 'reminder' }, eligible: [kim], requester: sam, onBehalfOf: [], chain: [sam], requesterKeyId: 'k', reason: null, payload: null, dueOn: null, expiresOn });
    const consumed = { approvalId: 'apr_1', commandId: 'c', decidedAt: '2026-11-21T12:00:00.000Z', bindingDigest: 'b' };
    const merged = (order: readonly number[], streams: readonly (readonly (readonly [string, string, object])[])[]): readonly (readonly [string, string, object])[] => {
      const rest = streams.map((events) => [...events]);
      const picked = order.flatMap((pick) => rest[pick % rest.length]?.splice(0, 1) ?? []);
      return [...picked, ...rest.flat()];
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { maxLength: 14 }), fc.array(fc.boolean(), { minLength: 14, maxLength: 14 }), async (order, runs) => {
        const one = new Installation();
        await one.start([approvalHousekeeping]);
        const expiresOn = formatInstant(one.clock.now() + hour);
        const streams = ['apr_1', 'apr_2', 'apr_3'].map((id) => [
          [approval(id), 'ApprovalRequested', request(expiresOn)] as const,
          [approval(id), 'ApprovalGranted', {}] as const,
          ...(id === 'apr_3' ? [] : [[approval(id), 'ApprovalRevoked', { by: kim, reason: 'r' }] as const]),
        ]);
        const resource = [[subscription, 'ApprovalConsumed', consumed] as const];
        for (const [index, [stream, type, data]] of merged(order, [...streams, resource]).entries()) {
          // The approval's own stream has begun before anything can name it.
          if (stream === subscription && one.typesOf(approval('apr_1')).length === 0) await one.write(approval('apr_1'), 'ApprovalRequested', request(expiresOn));
          if (type !== 'ApprovalRequested' || one.typesOf(stream).length === 0) await one.write(stream, type, data);
          if (runs[index] === true) await one.clock.advance(0);
        }
        await one.clock.advance(2 * hour);
        await one.stop();
        expect(['apr_2', 'apr_3'].map((id) => one.status(id))).toEqual(['REVOKED', 'EXPIRED']);
        expect(one.typesOf(approval('apr_1')).filter((type) => type === 'ApprovalUseMirrored')).toHaveLength(1);
        expect(one.typesOf(subscription)).toEqual(['ApprovalConsumed', 'ApprovalFenced']);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the health saga', () => {
  const delivery = streamOf('webhookdelivery', site, 'dlv_1');
  const scheduled = { subscriptionId: 'whs_1', incarnation: 'i', eventId: 'e1', eventType: 'version.published', eventPosition: '1', eventStream: streamOf('event', site, 'e1'), operational: false };
  const gone = { attempt: 1, startedAt: '2026-11-21T12:00:00.000Z', durationMs: 1, status: 410, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: '', reason: 'endpoint-gone' };

  it('pauses by command, as SYSTEM, with the reason, and says so to whoever asked', async () => {
    const one = await installation();
    await one.write(delivery, 'WebhookDeliveryScheduled', scheduled);
    await one.write(delivery, 'WebhookDeliveryDeadLettered', gone);
    await one.clock.advance(0);
    const paused = one.governed.log.events.find(({ type }) => type === 'WebhookSubscriptionPaused');
    expect(JSON.parse(paused?.data ?? '')).toEqual({ reason: 'endpoint-gone' });
    expect(paused?.metadata).toMatchObject({ actortype: 'SYSTEM', actorid: 'subscription-health', commandtype: 'PauseWebhookSubscription' });
    expect(one.published).toEqual(['webhook.subscription.created', 'webhook.delivery.dead_lettered', 'webhook.subscription.paused']);
    await one.stop();
  });

  it('does not pause what was paused and resumed after the failure, though it meets the failure late', async () => {
    const one = await installation();
    await one.write(delivery, 'WebhookDeliveryScheduled', scheduled);
    await one.stop();
    await one.write(delivery, 'WebhookDeliveryDeadLettered', gone);
    await one.governed.must('PauseWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.governed.must('ResumeWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.start();
    await one.clock.advance(5_000);
    expect(one.typesOf(subscription)).toEqual(['WebhookSubscriptionCreated', 'WebhookSubscriptionPaused', 'WebhookSubscriptionResumed']);
    await one.stop();
  });

  it('past a restart with the checkpoint lost, pauses nothing that was resumed since', async () => {
    const one = await installation();
    await one.write(delivery, 'WebhookDeliveryScheduled', scheduled);
    await one.write(delivery, 'WebhookDeliveryDeadLettered', gone);
    await one.clock.advance(0);
    await one.governed.must('ResumeWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.stop();
    for (const stream of [...one.governed.log.streams.keys()]) if (stream.startsWith('sagacheckpoint-')) one.governed.log.streams.delete(stream);
    await one.start();
    await one.clock.advance(5_000);
    expect(one.typesOf(subscription).at(-1)).toBe('WebhookSubscriptionResumed');
    expect(one.published.filter((type) => type === 'webhook.subscription.paused')).toHaveLength(1);
    await one.stop();
  });
});

describe('the lifecycle saga', () => {
  const secrets = (one: Installation): readonly string[] => [...one.governed.log.streams.keys()].filter((stream) => stream.startsWith('signingsecret-'));

  it('purges thirty days after the deletion and shreds every secret; what is created anew stays, whatever is met again', async () => {
    const one = await installation();
    await one.rotates(await one.granted());
    const before = secrets(one);
    expect(before).toHaveLength(2);
    await one.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.jump(30 * day - 10_000);
    expect(one.count('WebhookSubscriptionPurged')).toBe(0);
    await one.jump(10_000);
    expect(one.count('WebhookSubscriptionPurged')).toBe(1);
    expect(secrets(one)).toEqual([]);
    expect([...one.governed.log.tombstones]).toEqual(expect.arrayContaining([...before]));
    await one.governed.must('UpsertWebhookSubscription', upsertOf('whs_1'));
    await one.stop();
    const created = secrets(one);
    for (const stream of [...one.governed.log.streams.keys()]) if (stream.startsWith('sagacheckpoint-')) one.governed.log.streams.delete(stream);
    await one.start();
    await one.jump(60 * day);
    expect(one.count('WebhookSubscriptionPurged')).toBe(1);
    expect(secrets(one)).toEqual(created);
    expect(created).toHaveLength(1);
    await one.stop();
  });

  it('keeps what was restored', async () => {
    const one = await installation();
    await one.governed.must('DeleteWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.jump(29 * day);
    await one.governed.must('RestoreWebhookSubscription', { webhookSubscriptionId: 'whs_1' });
    await one.jump(10 * day);
    expect(one.count('WebhookSubscriptionPurged')).toBe(0);
    expect(secrets(one)).toHaveLength(1);
    await one.stop();
  });

  it('shreds a secret that a dead command left unnamed, and drops old transcripts', async () => {
    const one = await installation();
    const [named] = secrets(one);
    const orphan = streamOf('signingsecret', site, 'v-orphan');
    await one.write(orphan, 'SigningSecretStored', {});
    await one.write('transcript-20261121.1', 'WebhookTranscriptsRecorded', { transcripts: [] });
    await one.jump(hour - 10_000);
    expect(secrets(one)).toEqual([named, orphan]);
    await one.jump(10_000);
    expect(secrets(one)).toEqual([named]);
    expect(one.count('WebhookTranscriptsRecorded')).toBe(1);
    await one.jump(31 * day);
    expect(one.count('WebhookTranscriptsRecorded')).toBe(0);
    await one.stop();
  });
});

describe('operational events', () => {
  it('can not feed themselves: when every delivery dies, their number is that of what happened', async () => {
    const one = await installation();
    const { store, clock, world, log } = { ...one.governed, clock: one.clock };
    const everything = (id: string): object => ({ site, subscriptionId: id, incarnation: id, eventPattern: 'webhook.**,approval.**,**', filter: null, status: 'ACTIVE', deliveryMode: 'AT_LEAST_ONCE', fromPosition: '0', toPosition: null });
    const versions = { reached: () => Promise.resolve(), overlapping: () => Promise.resolve([everything('whs_1'), everything('whs_2')] as never) };
    const fanOut = createFanOut({ store, clock, ids: world.ids, versions, onAlarm: (alarm) => one.alarms.push(alarm) });
    fanOut.start();
    const met = new Set<string>();
    const publish = async (id: string): Promise<void> => {
      await store.append(streamOf('event', site, id), 'NO_STREAM', [{ id: world.ids.uuid(), type: 'EventPublished', data: '{}', metadata: { recordedat: formatInstant(clock.now()), ...site, publishedid: id, publishedtype: 'version.published' } }]);
    };
    for (const id of ['e1', 'e2', 'e3']) await publish(id);
    for (let round = 0; round < 12; round += 1) {
      await clock.advance(1_000);
      for (const { stream, type } of [...log.events]) {
        if (type !== 'WebhookDeliveryScheduled' || met.has(stream)) continue;
        met.add(stream);
        await one.write(stream, 'WebhookDeliveryDeadLettered', { attempt: 1, subscriptionRevision: 1, reason: 'attempts-exhausted' });
      }
    }
    // One subscription created, three events to two subscriptions each.
    expect(one.published.toSorted()).toEqual([...Array.from({ length: 3 }, () => 'version.published'), ...Array.from({ length: 6 }, () => 'webhook.delivery.dead_lettered'), 'webhook.subscription.created'].toSorted());
    // Each of the ten was delivered to both, and died there; nothing was told of that.
    expect(met.size).toBe(20);
    await fanOut.stop();
    await one.stop();
  });
});
