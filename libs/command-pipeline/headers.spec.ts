import { beforeEach, describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { type CommandAnswer, createAggregates, subscriptionFold } from '#command-pipeline';
import { isRefusal, type JsonObject, placeOf, type Refusal, streamOf } from '#kernel';
import { SigningSecretUnavailable } from '#secret-vault';
import type { LiveSubscription } from '#subscriptions';
import { findCanary } from '../../test/support/canary.ts';
import { asKim, commandOf, governedWorld, type GovernedWorld, rootKey, site, through, upsertOf } from '../../test/support/governed-world.ts';

const upsert = 'UpsertWebhookSubscription';
const key = 'value-of-the-api-key-nobody-may-see';
const basic = 'Basic value-of-authorization-nobody-may-see';

let at: GovernedWorld;

beforeEach(() => {
  at = governedWorld();
});

const change = (more: JsonObject): JsonObject => ({ webhookSubscriptionId: 'whs_1', ...more });
const stateNow = async (id = 'whs_1'): Promise<LiveSubscription> => (await createAggregates(at.store).load(streamOf('webhooksubscription', site, id), subscriptionFold)).state as LiveSubscription;
const sealed = async (): Promise<number> => (await at.events('SigningSecretStored')).length;

async function opened(id = 'whs_1'): Promise<Record<string, string>> {
  const { headers = {}, incarnation } = await stateNow(id);
  const values = Object.entries(headers).map(async ([name, { versionId }]) => {
    const value = await at.vault.open({ site, subscriptionId: id, incarnation }, { versionId, kind: 'managed' });
    return [name, Buffer.from(value.reveal()).toString()] as const;
  });
  return Object.fromEntries(await Promise.all(values));
}

describe('the headers of a subscription’s own', () => {
  it('are sealed before the event that names them, by name in lower case, version and keyed fingerprint', async () => {
    const made = await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key, Authorization: basic } }));
    expect(await opened()).toEqual({ 'x-api-key': key, authorization: basic });
    const events = await at.events();
    const created = events.findIndex(({ type }) => type === 'WebhookSubscriptionCreated');
    const { headers, secret } = JSON.parse(events[created]?.data ?? '') as Pick<LiveSubscription, 'headers' | 'secret'>;
    expect(headers).toEqual({ 'x-api-key': { versionId: expect.stringMatching(/^sec_/), fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) }, authorization: { versionId: expect.any(String), fingerprint: expect.any(String) } });
    const before = events.slice(0, created).filter(({ type }) => type === 'SigningSecretStored').map(({ stream }) => placeOf(stream).id);
    expect(before.sort()).toEqual([secret.versionId, ...Object.values(headers ?? {}).map(({ versionId }) => versionId)].sort());
    expect(made.secret?.reveal()).toMatch(/^whsec_/);
  });

  it('stand in no event and no answer', async () => {
    const payload = upsertOf('whs_1', { headers: { 'X-Api-Key': key } });
    const answers: unknown[] = [await at.send(upsert, payload, { idempotencyKey: 'k' }), await at.send(upsert, payload, { idempotencyKey: 'k' }), await at.send(upsert, { ...payload, status: 'PAUSED' }, { idempotencyKey: 'k' })];
    answers.push(await at.pipeline.dryRun(commandOf(upsert, change({ headers: { 'X-Api-Key': basic } }), { idempotencyKey: 'd' })));
    answers.push(await at.send(upsert, change({ headers: { 'X-Api-Key': basic, other: '[redacted]' } })));
    const texts = { events: JSON.stringify(await at.events()), answers: JSON.stringify(answers), inspected: inspect(answers, { depth: Infinity, showHidden: true }) };
    for (const value of [key, basic]) expect(findCanary(value, { texts })).toEqual([]);
  });

  it('given again are no change, and nothing is sealed', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    const before = await sealed();
    expect(await at.must(upsert, upsertOf('whs_1', { headers: { 'x-API-key': key } }))).toMatchObject({ outcome: 'NO_CHANGE' });
    expect(await sealed()).toBe(before);
  });

  it('that a change leaves out stay, with the versions they have', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    const [{ headers }, before] = [await stateNow(), await sealed()];
    await at.must(upsert, change({ description: 'orders' }));
    expect([(await stateNow()).headers, (await stateNow()).description, await sealed()]).toEqual([headers, 'orders', before]);
  });

  it('that a change names are all of them: what has another value is sealed, what is gone is retired', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key, Authorization: basic, 'X-Old': 'old' } }));
    const { headers: first = {} } = await stateNow();
    await at.must(upsert, change({ headers: { 'X-Api-Key': 'other', Authorization: basic } }));
    expect(await opened()).toEqual({ 'x-api-key': 'other', authorization: basic });
    expect((await stateNow()).headers?.['authorization']).toEqual(first['authorization']);
    const [updated] = await at.events('WebhookSubscriptionUpdated');
    expect(JSON.parse(updated?.data ?? '')).toHaveProperty('retired', [first['x-api-key']?.versionId, first['x-old']?.versionId]);
    expect(await stateNow()).not.toHaveProperty('retired');
  });

  it('keep the value they have where a change gives the [redacted] that answers show', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key, Authorization: basic } }));
    expect(await at.must(upsert, upsertOf('whs_1', { headers: { 'x-api-key': '[redacted]', authorization: '[redacted]' } }))).toMatchObject({ outcome: 'NO_CHANGE' });
    await at.must(upsert, change({ headers: { 'X-Api-Key': '[redacted]', Authorization: 'other' } }));
    expect(await opened()).toEqual({ 'x-api-key': key, authorization: 'other' });
    const refused = await at.send(upsert, change({ headers: { 'X-Other': '[redacted]' } }));
    expect(refused).toMatchObject({ refused: 'validation-failed', members: { errors: [{ path: 'payload.headers', message: expect.stringContaining('x-other') }] } });
    expect(await at.refused(upsert, upsertOf('whs_new', { headers: { 'X-Api-Key': '[redacted]' } }))).toBe('validation-failed');
  });

  it.each([[{}], [null]])('are all taken away by %j', async (headers) => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    await at.must(upsert, change({ headers }));
    expect(await stateNow()).not.toHaveProperty('headers');
    expect(await at.must(upsert, change({ headers }))).toMatchObject({ outcome: 'NO_CHANGE' });
  });

  it('are taken away by an upsert that says all settings and no headers', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    await at.must(upsert, upsertOf('whs_1'));
    expect(await stateNow()).not.toHaveProperty('headers');
  });

  it('have another fingerprint for the same value in another subscription: nobody can tell who shares one', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    await at.must(upsert, upsertOf('whs_2', { headers: { 'X-Api-Key': key } }));
    const [one, other] = [await stateNow('whs_1'), await stateNow('whs_2')].map(({ headers }) => headers?.['x-api-key']?.fingerprint);
    expect(one).not.toBe(other);
  });

  it('open nowhere but in their subscription', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    await at.must(upsert, upsertOf('whs_2'));
    const [{ headers }, { incarnation }] = [await stateNow('whs_1'), await stateNow('whs_2')];
    const version = { versionId: headers?.['x-api-key']?.versionId ?? '', kind: 'managed' as const };
    await expect(at.vault.open({ site, subscriptionId: 'whs_2', incarnation }, version)).rejects.toThrow(SigningSecretUnavailable);
  });

  it('come back with a restore, and are among what a purge shreds', async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    const { secret, headers } = await stateNow();
    await at.must('DeleteWebhookSubscription', change({}));
    await at.must('RestoreWebhookSubscription', change({}));
    expect(await opened()).toEqual({ 'x-api-key': key });
    await at.must('DeleteWebhookSubscription', change({}));
    await at.clock.advance(31 * 24 * 60 * 60 * 1000);
    await at.must('PurgeWebhookSubscription', change({}), { caller: null });
    const [purged] = await at.events('WebhookSubscriptionPurged');
    expect(JSON.parse(purged?.data ?? '')).toEqual({ shreddedSecrets: [secret.versionId, headers?.['x-api-key']?.versionId] });
  });

  it('of a command that lost its answer are those of the attempt that is in the log', async () => {
    let cut = true;
    const dying = at.another((inner) => ({
      ...through(inner),
      append: async (...args) => {
        if (cut && placeOf(args[0]).id === 'whs_1') {
          cut = false;
          throw new Error('the process died');
        }
        return await inner.append(...args);
      },
    }));
    const asked = commandOf(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }), { idempotencyKey: 'k' });
    await expect(dying.execute(asked)).rejects.toThrow('died');
    expect(await at.pipeline.execute(asked)).toMatchObject({ outcome: 'APPLIED', replayed: false });
    expect(await opened()).toEqual({ 'x-api-key': key });
  });
});

describe('an approval of an upsert with headers', () => {
  beforeEach(async () => {
    await at.must(upsert, upsertOf('whs_1', { headers: { 'X-Api-Key': key } }));
    await at.must('SetApprovalPolicy', { commandType: upsert, required: true, binding: 'PAYLOAD' }, { caller: rootKey });
  });

  const templateOf = (answer: CommandAnswer | Refusal): JsonObject => {
    if (!isRefusal(answer)) throw new Error('it was not refused');
    return (answer.members?.['approvalRequest'] as { readonly payload: JsonObject }).payload;
  };
  const grant = async (asked: JsonObject): Promise<void> => {
    const { resourceId, revision } = await at.must('RequestApproval', asked);
    await at.must('GrantApproval', { approvalId: resourceId }, { ...asKim, expectedRevision: revision });
  };
  const later = (): string => new Date(at.clock.now() + 3_600_000).toISOString();

  it('shows names and fingerprints, and keeps no value, wherever somebody wrote it', async () => {
    const template = templateOf(await at.send(upsert, change({ headers: { 'X-Api-Key': basic } })));
    expect(template['payload']).toMatchObject({ headers: { 'x-api-key': { kind: 'sealed', fingerprint: expect.stringMatching(/^[0-9a-f]{64}$/) } } });
    const odd: JsonObject[] = [{ headers: { 'X-Api-Key': basic } }, { inner: [{ Headers: { a: [basic, { b: basic }] } }] }, { headers: basic }, { headers: [`X-Api-Key=${basic}`] }, { headers: { kind: 'sealed', fingerprint: basic } }, { headers: { a: { kind: 'sealed', fingerprint: basic } } }];
    for (const payload of odd) await at.must('RequestApproval', { commandType: upsert, resourceId: 'whs_1', expiresOn: later(), payload });
    for (const value of [key, basic]) expect(findCanary(value, { texts: { events: JSON.stringify(await at.events()) } })).toEqual([]);
  });

  it('is for these values: with another one it does not hold', async () => {
    await grant(templateOf(await at.send(upsert, change({ headers: { 'X-Api-Key': basic } }))));
    expect(await at.refused(upsert, change({ headers: { 'X-Api-Key': 'other' } }))).toBe('approval-required');
    expect(await at.refused(upsert, change({ headers: { 'X-Other': basic } }))).toBe('approval-required');
    expect(await at.must(upsert, change({ headers: { 'x-api-key': basic } }))).toMatchObject({ outcome: 'APPLIED' });
    expect(await opened()).toEqual({ 'x-api-key': basic });
  });

  it('of a change that leaves them out serves the whole upsert with the same values, and the other way round', async () => {
    await grant(templateOf(await at.send(upsert, change({ description: 'orders' }))));
    expect(await at.must(upsert, upsertOf('whs_1', { description: 'orders', headers: { 'X-API-KEY': key } }))).toMatchObject({ outcome: 'APPLIED' });
    await grant({ commandType: upsert, resourceId: 'whs_1', expiresOn: later(), payload: upsertOf('whs_1', { description: 'claims', headers: { 'X-Api-Key': key } }) });
    expect(await at.must(upsert, change({ description: 'claims' }))).toMatchObject({ outcome: 'APPLIED' });
    expect(await opened()).toEqual({ 'x-api-key': key });
  });

  it('that takes them away serves the whole upsert without any', async () => {
    await grant(templateOf(await at.send(upsert, change({ headers: {} }))));
    expect(await at.must(upsert, upsertOf('whs_1'))).toMatchObject({ outcome: 'APPLIED' });
    expect(await stateNow()).not.toHaveProperty('headers');
  });
});
