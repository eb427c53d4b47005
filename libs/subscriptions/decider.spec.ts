import { describe, expect, it } from '@jest/globals';
import { formatInstant, isRefusal, Secret } from '#kernel';
import { decideSubscription, evolveSubscription, type HeaderVersion, initialSubscription, type ProposedSecret, type ProposedValue, signingSecrets, type SubscriptionCommand, type SubscriptionEvent, type SubscriptionSettings } from '#subscriptions';
import { decisionsOf } from '../../test/support/given.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';

const { given } = decisionsOf<ReturnType<typeof evolveSubscription>, SubscriptionCommand, SubscriptionEvent>({ initialState: initialSubscription, evolve: evolveSubscription, decide: decideSubscription });

const id = 'whs_1';
const now = simulatedStart;
const day = 24 * 60 * 60 * 1000;
const settings: SubscriptionSettings = { eventPattern: 'version.*', targetUrl: 'https://a.example/', deliveryMode: 'AT_LEAST_ONCE', description: null };
const secretOf = (versionId: string, more: Partial<ProposedSecret> & { kind?: 'managed' | 'env' | 'file'; reference?: string } = {}): ProposedSecret => {
  const { kind = 'managed', reference, ...rest } = more;
  return { version: { versionId, kind, fingerprint: `fp-${versionId}`, ...(reference === undefined ? {} : { reference }) }, key: kind === 'managed' ? new Secret(new Uint8Array(32)) : null, generated: kind === 'managed', ...rest };
};
const first = secretOf('sec_1');
const created: SubscriptionEvent = { type: 'WebhookSubscriptionCreated', data: { ...settings, status: 'ACTIVE', secret: first.version } };
const paused: SubscriptionEvent = { type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } };
const resumed: SubscriptionEvent = { type: 'WebhookSubscriptionResumed', data: {} };
const purgeAt = formatInstant(now + 30 * day);
const deleted: SubscriptionEvent = { type: 'WebhookSubscriptionDeleted', data: { purgeAt } };
const restored: SubscriptionEvent = { type: 'WebhookSubscriptionRestored', data: {} };
const purged: SubscriptionEvent = { type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: ['sec_1'] } };
const upsert = (more: Partial<Extract<SubscriptionCommand, { do: 'upsert' }>> = {}): SubscriptionCommand => ({ do: 'upsert', id, settings, status: 'ACTIVE', secret: first, values: [], ...more });
const rotate = (more: Partial<Extract<SubscriptionCommand, { do: 'rotate' }>> = {}): SubscriptionCommand => ({ do: 'rotate', id, nowMs: now, graceSeconds: 86_400, secret: secretOf('sec_2'), ...more });

describe('UpsertWebhookSubscription', () => {
  it('creates a subscription that does not exist', () => given().when(upsert()).then(created));
  it('creates it paused when asked to', () => given().when(upsert({ status: 'PAUSED' })).then({ ...created, data: { ...created.data, status: 'PAUSED' } }));
  it('does nothing when everything is as asked', () => given(created).when(upsert({ secret: secretOf('sec_9') })).thenNothing());
  it('changes the settings that differ', () => given(created).when(upsert({ settings: { ...settings, targetUrl: 'https://b.example/' } })).then({ type: 'WebhookSubscriptionUpdated', data: { ...settings, targetUrl: 'https://b.example/' } }));
  it('says an option only where it is set, and takes back what the settings no longer say', () => {
    const quick = { ...settings, filter: 'data.a > 1', timeoutMs: 5_000, retryScheduleMs: [0, 5_000], rateLimitPerSecond: 10, labels: { team: 'orders', tier: '1' } };
    const updated = (to: SubscriptionSettings): SubscriptionEvent => ({ type: 'WebhookSubscriptionUpdated', data: to });
    given().when(upsert({ settings: quick })).then({ ...created, data: { ...created.data, filter: 'data.a > 1', timeoutMs: 5_000, retryScheduleMs: [0, 5_000], rateLimitPerSecond: 10, labels: { team: 'orders', tier: '1' } } });
    given(created).when(upsert({ settings: quick })).then(updated(quick));
    given(created, updated(quick)).when(upsert({ settings: { ...quick, retryScheduleMs: [0, 5_000], labels: { tier: '1', team: 'orders' } } })).thenNothing();
    given(created, updated(quick)).when(upsert({ settings: { ...quick, rateLimitPerSecond: 20 } })).then(updated({ ...quick, rateLimitPerSecond: 20 }));
    given(created, updated(quick)).when(upsert({ settings: { ...quick, retryScheduleMs: [0] } })).then(updated({ ...quick, retryScheduleMs: [0] }));
    given(created, updated(quick)).when(upsert({ settings: { ...quick, filter: 'data.a > 2' } })).then(updated({ ...quick, filter: 'data.a > 2' }));
    given(created, updated(quick)).when(upsert({ settings: { ...quick, labels: { team: 'orders' } } })).then(updated({ ...quick, labels: { team: 'orders' } }));
    given(created, updated(quick)).when(upsert()).then(updated(settings));
    given(created, updated(quick), updated(settings)).when(upsert()).thenNothing();
    expect(given(created, updated(quick), updated(settings)).state).not.toHaveProperty('timeoutMs');
    expect(given(created, updated(quick), updated(settings)).state).not.toHaveProperty('filter');
    expect(given(created, updated(quick), updated(settings)).state).not.toHaveProperty('labels');
    expect(given(created, updated(quick), updated(settings)).state).not.toHaveProperty('retryScheduleMs');
    expect(given(created, updated(quick), updated(settings)).state).not.toHaveProperty('rateLimitPerSecond');
  });
  it('seals the values of new headers only, and says which versions are sent no longer', () => {
    const version = (versionId: string, fingerprint: string): HeaderVersion => ({ versionId, fingerprint });
    const proposed = (...versions: HeaderVersion[]): ProposedValue[] => versions.map((one) => ({ version: one, value: new Secret(new Uint8Array(1)) }));
    const madeOf = ({ decision }: { decision: unknown }): unknown => (decision as { values?: readonly ProposedValue[] }).values?.map((value) => value.version.versionId);
    const first = { ...settings, headers: { a: version('v1', 'A'), b: version('v2', 'B') } };
    const start: SubscriptionEvent = { ...created, data: { ...created.data, headers: first.headers } };
    const creation = given().when(upsert({ settings: first, values: proposed(first.headers.a, first.headers.b) }));
    creation.then(start);
    expect(madeOf(creation)).toEqual(['v1', 'v2']);

    const same = { ...settings, headers: { b: version('v4', 'B'), a: version('v3', 'A') } };
    const repeated = given(start).when(upsert({ settings: same, values: proposed(same.headers.a, same.headers.b) }));
    repeated.thenNothing();
    expect(madeOf(repeated)).toEqual([]);

    const other = { ...settings, headers: { a: version('v5', 'A'), c: version('v6', 'C') } };
    const changed = given(start).when(upsert({ settings: other, values: proposed(other.headers.a, other.headers.c) }));
    const updated: SubscriptionEvent = { type: 'WebhookSubscriptionUpdated', data: { ...settings, headers: { a: version('v1', 'A'), c: version('v6', 'C') }, retired: ['v2'] } };
    changed.then(updated);
    expect(madeOf(changed)).toEqual(['v6']);

    given(start, updated).when(upsert()).then({ type: 'WebhookSubscriptionUpdated', data: { ...settings, retired: ['v1', 'v6'] } });
    given(start, updated, deleted).when({ do: 'purge', id, nowMs: now + 30 * day }).then({ type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: ['sec_1', 'v1', 'v6'] } });
    const { state } = given(start, updated, { type: 'WebhookSubscriptionUpdated', data: { ...settings, retired: ['v1', 'v6'] } });
    for (const gone of ['headers', 'retired']) expect(state).not.toHaveProperty(gone);
  });
  it('pauses and resumes when the status differs', () => {
    given(created).when(upsert({ status: 'PAUSED' })).then(paused);
    given(created, paused).when(upsert()).then(resumed);
  });
  it('takes managed for the secret that is kept, imported or generated', () => given(created).when(upsert({ secret: secretOf('sec_2') })).thenNothing());
  it('takes the same imported key for no change, and refuses another', () => {
    given(created).when(upsert({ secret: { ...secretOf('sec_2', { generated: false }), version: { ...first.version, versionId: 'sec_2' } } })).thenNothing();
    given(created).when(upsert({ secret: secretOf('sec_2', { generated: false }) })).thenRefused('secret-change-needs-rotation');
  });
  it('refuses to smuggle in another reference', () => given(created).when(upsert({ secret: secretOf('sec_2', { kind: 'env', reference: 'env:KF_WEBHOOK_SECRET_A' }) })).thenRefused('secret-change-needs-rotation'));
  it('is refused on a deleted subscription until its purge', () => given(created, deleted).when(upsert()).thenRefused('subscription-deleted'));
  it('creates a new incarnation after the purge', () => given(created, deleted, purged).when(upsert({ secret: secretOf('sec_2') })).then({ ...created, data: { ...created.data, secret: secretOf('sec_2').version } }));
});

describe('PauseWebhookSubscription', () => {
  const pause: SubscriptionCommand = { do: 'pause', id, reason: 'requested' };
  it('pauses an active subscription', () => given(created).when(pause).then(paused));
  it('does nothing when it is paused', () => given(created, paused).when(pause).thenNothing());
  it('is refused where there is none', () => given().when(pause).thenRefused('not-found'));
  it('is refused on a deleted one', () => given(created, deleted).when(pause).thenRefused('subscription-deleted'));
  it('is refused after the purge as if there had been none', () => given(created, deleted, purged).when(pause).thenRefused('not-found'));
});

describe('ResumeWebhookSubscription', () => {
  const resume: SubscriptionCommand = { do: 'resume', id };
  it('resumes a paused subscription', () => given(created, paused).when(resume).then(resumed));
  it('does nothing when it is active', () => given(created).when(resume).thenNothing());
  it('is refused where there is none', () => given().when(resume).thenRefused('not-found'));
  it('is refused on a deleted one', () => given(created, deleted).when(resume).thenRefused('subscription-deleted'));
});

describe('DeleteWebhookSubscription', () => {
  const remove: SubscriptionCommand = { do: 'delete', id, nowMs: now };
  it('deletes softly, with a tombstone of 30 days', () => given(created).when(remove).then(deleted));
  it('does nothing when it is deleted already', () => given(created, deleted).when(remove).thenNothing());
  it('is refused where there is none', () => given().when(remove).thenRefused('not-found'));
});

describe('RestoreWebhookSubscription', () => {
  const restore = (nowMs: number): SubscriptionCommand => ({ do: 'restore', id, nowMs });
  it('restores a deleted subscription', () => given(created, deleted).when(restore(now)).then(restored));
  it('gives back the status before the delete', () => {
    const { state } = given(created, { ...paused, data: { reason: 'endpoint-gone' } }, deleted, restored);
    expect(state).toMatchObject({ status: 'PAUSED', pausedReason: 'endpoint-gone' });
  });
  it('remembers where it was deleted: what was open then stays cancelled', () => expect(given(created, deleted, restored).state).toMatchObject({ lastDeletedPosition: '2' }));
  it('does nothing when it is live', () => given(created).when(restore(now)).thenNothing());
  it('is refused from the moment it may be purged', () => {
    given(created, deleted).when(restore(now + 30 * day - 1)).then(restored);
    given(created, deleted).when(restore(now + 30 * day)).thenRefused('not-found');
  });
  it('is refused where there is none', () => given().when(restore(now)).thenRefused('not-found'));
});

describe('RotateWebhookSubscriptionSecret', () => {
  const rotated = (graceUntil: string | null, retired: readonly string[] = []): SubscriptionEvent => ({
    type: 'WebhookSubscriptionSecretRotated',
    data: { secret: secretOf('sec_2').version, previous: graceUntil === null ? null : { versionId: 'sec_1', graceUntil }, retired },
  });
  it('keeps the old secret for the grace window', () => given(created).when(rotate()).then(rotated(formatInstant(now + day))));
  it('retires the old secret at once with a grace of 0 s', () => given(created).when(rotate({ graceSeconds: 0 })).then(rotated(null, ['sec_1'])));
  it('retires the oldest when it comes inside a grace window', () => {
    given(created, rotated(formatInstant(now + day))).when(rotate({ secret: secretOf('sec_3') })).then({
      type: 'WebhookSubscriptionSecretRotated',
      data: { secret: secretOf('sec_3').version, previous: { versionId: 'sec_2', graceUntil: formatInstant(now + day) }, retired: ['sec_1'] },
    });
  });
  it('changes nothing when the given secret is the present one', () => {
    given(created).when(rotate({ secret: { ...secretOf('sec_2', { generated: false }), version: { ...first.version, versionId: 'sec_2' } } })).thenNothing();
  });
  it('is refused where there is none, and on a deleted one', () => {
    given().when(rotate()).thenRefused('not-found');
    given(created, deleted).when(rotate()).thenRefused('subscription-deleted');
  });
  it('signs with both inside the window and with the new one alone from its end', () => {
    const { state } = given(created, rotated(formatInstant(now + day)));
    if (state.status !== 'ACTIVE') throw new Error('not active');
    expect(signingSecrets(state, now + day - 1).map(({ versionId }) => versionId)).toEqual(['sec_2', 'sec_1']);
    expect(signingSecrets(state, now + day).map(({ versionId }) => versionId)).toEqual(['sec_2']);
  });
  it('hands on the secret only when an event names it', () => {
    const decided = given(created).when(upsert({ secret: secretOf('sec_9') })).decision;
    expect(isRefusal(decided) ? undefined : 'secret' in decided).toBe(false);
  });
});

describe('PurgeWebhookSubscription', () => {
  const purge = (nowMs: number): SubscriptionCommand => ({ do: 'purge', id, nowMs });
  it('purges a deleted subscription when its time has come, and names every secret to shred', () => given(created, deleted).when(purge(now + 30 * day)).then(purged));
  it('does nothing before its time, when it was restored, and twice', () => {
    given(created, deleted).when(purge(now + 30 * day - 1)).thenNothing();
    given(created, deleted, restored).when(purge(now + 31 * day)).thenNothing();
    given(created, deleted, purged).when(purge(now + 31 * day)).thenNothing();
  });
});

describe('a subscription that a broken log tells of', () => {
  it('is not folded further', () => {
    expect(() => given(paused)).toThrow('without a subscription');
    expect(() => given(created, restored)).toThrow('not deleted');
    expect(() => given(created, deleted, paused)).toThrow('without a restore');
  });
});
