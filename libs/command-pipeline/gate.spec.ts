import { beforeEach, describe, expect, it } from '@jest/globals';
import { type CommandAnswer, commandDefinitions, gateableDefinition } from '#command-pipeline';
import { gateableCommands } from '#approvals';
import { StoreUnavailable } from '#event-store';
import { formatInstant, isRefusal, type JsonObject, type Principal, type Refusal, sleep } from '#kernel';
import { asKim, boundKey, commandOf, governedWorld, type GovernedWorld, kim, lee, rootKey, sam, through, upsertOf } from '../../test/support/governed-world.ts';

const rotation = 'RotateWebhookSubscriptionSecret';
const whs = { webhookSubscriptionId: 'whs_1' };
const hour = 3_600_000;

let at: GovernedWorld;

beforeEach(async () => {
  at = governedWorld();
  await at.must('UpsertWebhookSubscription', upsertOf('whs_1'));
});

const inHours = (hours: number): string => formatInstant(at.clock.now() + hours * hour);

async function ask(more: JsonObject = {}, by: Parameters<GovernedWorld['must']>[2] = {}): Promise<CommandAnswer> {
  return await at.must('RequestApproval', { commandType: rotation, resourceId: 'whs_1', expiresOn: inHours(24), ...more }, by);
}

const grant = (approval: CommandAnswer, by: Parameters<GovernedWorld['must']>[2] = asKim): Promise<CommandAnswer> => at.must('GrantApproval', { approvalId: approval.resourceId }, { expectedRevision: approval.revision, ...by });

async function approved(more: JsonObject = {}): Promise<CommandAnswer> {
  const approval = await ask(more);
  await grant(approval);
  return approval;
}

const withApproval = (approval: CommandAnswer): { approvalId: string } => ({ approvalId: approval.resourceId });
const members = (answer: CommandAnswer | Refusal): Record<string, unknown> => (isRefusal(answer) ? { ...answer.members } : {});

describe('the gate', () => {
  it('lets a command without a policy pass', async () => {
    await at.must('PauseWebhookSubscription', whs);
    expect(await at.events('ApprovalConsumed')).toEqual([]);
  });

  it('refuses a rotation without an approval, with a template that can be sent as it is', async () => {
    const answer = await at.send(rotation, whs);
    expect(answer).toMatchObject({ refused: 'approval-required' });
    const { approvalRequest } = members(answer) as { approvalRequest: { payload: JsonObject } };
    const asked = await at.must('RequestApproval', approvalRequest.payload);
    expect(asked.result).toMatchObject({ status: 'PENDING' });
  });

  it.each([
    { minTtlSeconds: 2 * 24 * 3_600, maxTtlSeconds: 3 * 24 * 3_600 },
    { minTtlSeconds: 1, maxTtlSeconds: 60 },
  ])('has a template that keeps to the times of the policy (%j)', async (bounds) => {
    await at.must('SetApprovalPolicy', { commandType: rotation, required: true, ...bounds }, { caller: rootKey });
    const { approvalRequest } = members(await at.send(rotation, whs)) as { approvalRequest: { payload: JsonObject } };
    await at.clock.advance(1_000);
    await at.must('RequestApproval', approvalRequest.payload);
  });

  it('asks nobody to approve what can\'t be done: a resource that is not there is 404, a deleted one 409', async () => {
    expect(await at.refused(rotation, { webhookSubscriptionId: 'whs_none' })).toBe('not-found');
    await at.must('DeleteWebhookSubscription', whs);
    expect(await at.refused(rotation, whs)).toBe('subscription-deleted');
  });

  it('finds a granted approval by what it is for, and consumes it in the append of the effect', async () => {
    const approval = await approved();
    const answer = await at.must(rotation, whs);
    const events = (await at.store.readStream('webhooksubscription-tnt_demo.production.whs_1')).slice(-3);
    expect(events.map(({ type }) => type)).toEqual(['WebhookSubscriptionSecretRotated', 'ApprovalConsumed', 'CommandExecuted']);
    expect(JSON.parse(events[1]?.data ?? '')).toMatchObject({ approvalId: approval.resourceId, commandId: answer.commandId });
    expect(events.every(({ metadata }) => metadata['approvalid'] === approval.resourceId)).toBe(true);
  });

  it('takes the approval that expires first of several', async () => {
    await approved({ expiresOn: inHours(48) });
    const first = await approved({ expiresOn: inHours(2) });
    await at.must(rotation, whs);
    expect(JSON.parse((await at.events('ApprovalConsumed'))[0]?.data ?? '')).toMatchObject(withApproval(first));
  });

  it('says whose decision is missing while it is PENDING', async () => {
    const approval = await ask();
    const answer = await at.send(rotation, whs);
    expect(answer).toMatchObject({ refused: 'approval-pending', members: { approvalId: approval.resourceId } });
  });

  it('executes with the same idempotency key once it is approved: a refusal did not burn it', async () => {
    expect(await at.refused(rotation, whs, { idempotencyKey: 'k' })).toBe('approval-required');
    await approved();
    expect(await at.must(rotation, whs, { idempotencyKey: 'k' })).toMatchObject({ outcome: 'APPLIED', replayed: false });
  });

  it('is not asked again by a retry after the use', async () => {
    await approved();
    const first = await at.must(rotation, whs, { idempotencyKey: 'k' });
    const again = await at.must(rotation, whs, { idempotencyKey: 'k' });
    expect(again).toMatchObject({ replayed: true, secret: null, result: first.result });
  });

  it('answers another command with the winner when the approval is used', async () => {
    const approval = await approved();
    const winner = await at.must(rotation, whs);
    const answer = await at.send(rotation, whs, withApproval(approval));
    expect(answer).toMatchObject({ refused: 'approval-already-used', members: { commandId: winner.commandId } });
  });

  it('lets one of two commands that race for one approval win; the other gets 409', async () => {
    const approval = await approved();
    const other = at.another();
    const answers = await Promise.all([
      at.send(rotation, whs, withApproval(approval)),
      other.execute(commandOf(rotation, whs, { idempotencyKey: 'other', ...withApproval(approval) })),
    ]);
    const codes = answers.map((answer) => (isRefusal(answer) ? answer.refused : answer.outcome)).sort();
    expect(codes).toEqual(['APPLIED', 'approval-already-used']);
    expect(await at.events('ApprovalConsumed')).toHaveLength(1);
  });

  it('leaves the approval usable when the command fails behind the gate', async () => {
    const approval = await approved();
    expect(await at.refused(rotation, { ...whs, signingSecretRef: 'whsec_short' }, withApproval(approval))).toBe('validation-failed');
    await at.must(rotation, whs, withApproval(approval));
  });

  it('consumes nothing for a no-op', async () => {
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }, { caller: rootKey });
    await at.must('PauseWebhookSubscription', whs, { caller: null });
    const approval = await ask({ commandType: 'PauseWebhookSubscription' });
    await grant(approval);
    expect(await at.must('PauseWebhookSubscription', whs)).toMatchObject({ outcome: 'NO_CHANGE' });
    expect(await at.events('ApprovalConsumed')).toEqual([]);
  });

  it('collects everything that is unmet in one answer', async () => {
    const approval = await ask({ expiresOn: inHours(1) }, { actor: lee, caller: boundKey(lee) });
    await at.clock.advance(hour);
    const answer = await at.send(rotation, whs, withApproval(approval));
    expect(answer).toMatchObject({ refused: 'approval-expired' });
    expect(members(answer)['unmet']).toMatchObject([{ code: 'approval-expired' }, { code: 'approval-required' }]);
  });

  it('executes nothing while the policy can\'t be read: 503', async () => {
    const blind = at.another((inner) => ({ ...through(inner), readStream: (stream, ...rest) => (stream.startsWith('approvalpolicy-') ? Promise.reject(new StoreUnavailable('simulated')) : inner.readStream(stream, ...rest)) }));
    const head = at.log.head;
    expect(await blind.execute(commandOf('PauseWebhookSubscription', whs, { idempotencyKey: 'k' }))).toMatchObject({ refused: 'store-unavailable' });
    expect(at.log.head).toBe(head);
  });

  it('counts a vote once, however often its request comes', async () => {
    await at.must('SetApprovalPolicy', { commandType: rotation, required: true, minApprovals: 2 }, { caller: rootKey });
    const approval = await ask();
    const vote = { ...asKim, expectedRevision: 1, idempotencyKey: 'vote' };
    expect(await at.must('GrantApproval', { approvalId: approval.resourceId }, vote)).toMatchObject({ replayed: false, result: { approvals: 1, status: 'PENDING' } });
    expect(await at.must('GrantApproval', { approvalId: approval.resourceId }, vote)).toMatchObject({ replayed: true, result: { approvals: 1, status: 'PENDING' } });
    expect(await at.events('ApprovalVoteCast')).toHaveLength(1);
  });

  it('answers an unknown approval and one of another site alike', async () => {
    const elsewhere = { tenant: 'tnt_other', environment: 'production' };
    await at.must('UpsertWebhookSubscription', upsertOf('whs_1'), { site: elsewhere });
    const theirs = await ask({}, { site: elsewhere });
    const unknown = await at.send(rotation, whs, { approvalId: 'apr_unknown' });
    const foreign = await at.send(rotation, whs, withApproval(theirs));
    expect(foreign).toMatchObject({ refused: 'not-found' });
    expect(JSON.stringify(foreign).replaceAll(theirs.resourceId, 'apr_unknown')).toBe(JSON.stringify(unknown));
  });

  it('is passed by sagas for where they run', async () => {
    expect(await at.must(rotation, whs, { caller: null, actor: { type: 'SYSTEM', id: 'health' } })).toMatchObject({ outcome: 'APPLIED' });
    expect(await at.refused(rotation, whs, { actor: { type: 'SYSTEM', id: 'health' } })).toBe('approval-required');
  });
});

describe('an approval that has ended', () => {
  it('is refused at expiresOn and after, with no timer running', async () => {
    const approval = await approved({ expiresOn: inHours(1) });
    await at.clock.advance(hour - 1);
    at.clock.setNow(at.clock.now() + 1);
    expect(await at.refused(rotation, whs, withApproval(approval))).toBe('approval-expired');
  });

  it('expired between gate and append is not retried past its end', async () => {
    const approval = await approved({ expiresOn: inHours(1) });
    await at.clock.advance(hour - 1_000);
    let down = false;
    const pipeline = at.another((inner) => ({
      ...through(inner),
      append: async (stream, expected, events) => {
        if (stream.startsWith('command-')) down = true;
        else if (down && stream.startsWith('webhooksubscription-')) throw new (await import('#event-store')).OutcomeUnknown('simulated');
        return await inner.append(stream, expected, events);
      },
    }));
    const answer = pipeline.execute(commandOf(rotation, whs, { idempotencyKey: 'k', ...withApproval(approval) }));
    await at.clock.advance(1_000);
    expect(await answer).toMatchObject({ refused: 'outcome-unknown' });
    expect(at.clock.now()).toBeLessThanOrEqual(Date.parse('2026-11-21T13:00:00.000Z'));
    expect(await at.events('WebhookSubscriptionSecretRotated')).toEqual([]);
  });

  it.each(['command', 'signingsecret'])('expired while the append of the %s before the effect was under way is not used', async (before) => {
    const approval = await approved({ expiresOn: inHours(1) });
    await at.clock.advance(hour - 1_000);
    const slow = at.another((inner) => ({
      ...through(inner),
      append: async (stream, ...rest) => {
        if (stream.startsWith(`${before}-`)) await sleep(at.clock, 2_000);
        return await inner.append(stream, ...rest);
      },
    }));
    const answer = slow.execute(commandOf(rotation, whs, { idempotencyKey: 'k', ...withApproval(approval) }));
    await at.clock.advance(2_000);
    expect(await answer).toMatchObject({ refused: 'approval-expired' });
    expect(await at.events('ApprovalConsumed')).toEqual([]);
    const other = await approved();
    expect(await at.must(rotation, whs, { idempotencyKey: 'k', ...withApproval(other) })).toMatchObject({ outcome: 'APPLIED', replayed: false });
  });

  it('is not revived by a clock that goes back', async () => {
    const approval = await approved({ expiresOn: inHours(1) });
    await at.clock.advance(2 * hour);
    expect(await at.refused('GrantApproval', { approvalId: approval.resourceId }, { ...asKim, expectedRevision: approval.revision + 2 })).toBe('approval-not-pending');
    const mark = { id: '0b3f7a52-0000-4000-8000-000000000001', type: 'ApprovalExpired', data: '{}', metadata: { recordedat: formatInstant(at.clock.now()) } };
    const stream = `approval-tnt_demo.production.${approval.resourceId}`;
    await at.store.append(stream, (await at.store.readStream(stream)).length - 1, [mark]);
    at.clock.setNow(at.clock.now() - 2 * hour);
    expect(await at.refused(rotation, whs, withApproval(approval))).toBe('approval-expired');
  });

  it('is refused once denied, withdrawn or revoked, each by its name', async () => {
    const denied = await ask();
    await at.must('DenyApproval', { approvalId: denied.resourceId, reason: 'no' }, asKim);
    expect(await at.refused(rotation, whs, withApproval(denied))).toBe('approval-denied');
    const withdrawn = await approved();
    await at.must('WithdrawApproval', { approvalId: withdrawn.resourceId });
    const answer = await at.send(rotation, whs, withApproval(withdrawn));
    expect(answer).toMatchObject({ refused: 'approval-withdrawn' });
    expect(members(answer)['unmet']).toMatchObject([{ code: 'approval-withdrawn' }]);
    const revoked = await approved();
    await at.must('RevokeApproval', { approvalId: revoked.resourceId, reason: 'changed' }, asKim);
    expect(await at.refused(rotation, whs, withApproval(revoked))).toBe('approval-revoked');
  });

  it('fences the resource before a revoke or withdrawal of an approved one is answered', async () => {
    const approval = await approved();
    await at.must('RevokeApproval', { approvalId: approval.resourceId, reason: 'changed' }, asKim);
    expect((await at.events('ApprovalFenced')).map(({ stream }) => stream)).toEqual(['webhooksubscription-tnt_demo.production.whs_1']);
    const pending = await ask();
    await at.must('WithdrawApproval', { approvalId: pending.resourceId });
    expect(await at.events('ApprovalFenced')).toHaveLength(1);
  });

  it('that was used first makes a revoke 409 with the commandId of the use, each time it is asked', async () => {
    const approval = await approved();
    const use = await at.must(rotation, whs);
    for (const idempotencyKey of ['late', 'late']) {
      const answer = await at.send('RevokeApproval', { approvalId: approval.resourceId, reason: 'late' }, { ...asKim, idempotencyKey });
      expect(answer).toMatchObject({ refused: 'approval-already-used', members: { commandId: use.commandId } });
    }
  });

  it('is invalidated when the policy is set between grant and use', async () => {
    const approval = await approved();
    await at.must('SetApprovalPolicy', { commandType: rotation, minApprovals: 2 }, { caller: rootKey });
    expect(await at.refused(rotation, whs, withApproval(approval))).toBe('approval-invalidated');
  });

  it('is invalidated when the resource was purged and created again', async () => {
    const approval = await approved({ expiresOn: inHours(24 * 30) });
    await at.must('DeleteWebhookSubscription', whs);
    await at.clock.advance(30 * 24 * hour - 2 * hour);
    await at.clock.advance(hour);
    at.clock.setNow(at.clock.now() + hour);
    await at.must('PurgeWebhookSubscription', whs, { caller: null });
    at.clock.setNow(at.clock.now() - 2 * hour);
    await at.must('UpsertWebhookSubscription', upsertOf('whs_1'));
    expect(await at.refused(rotation, whs, withApproval(approval))).toBe('approval-invalidated');
  });
});

describe('four eyes', () => {
  const grantBy = async (principal: Principal, more: object = {}): Promise<string> => {
    const approval = await ask();
    return await at.refused('GrantApproval', { approvalId: approval.resourceId }, { actor: principal, caller: boundKey(principal), expectedRevision: approval.revision, ...more });
  };

  it('refuses the requester, under a second key and in another letter case', async () => {
    expect(await grantBy(sam)).toBe('approver-conflict');
    expect(await grantBy(sam, { caller: boundKey(sam, { keyId: 'key_second' }) })).toBe('approver-conflict');
    expect(await grantBy({ type: 'USER', id: 'USR_SAM' })).toBe('approver-conflict');
  });

  it('refuses the owner of a requesting agent, and of the requesting key', async () => {
    const agent: Principal = { type: 'AGENT', id: 'bot' };
    at.directory.owners.push([agent, kim]);
    const byAgent = await ask({}, { actor: agent, caller: boundKey(agent) });
    expect(await at.refused('GrantApproval', { approvalId: byAgent.resourceId }, { ...asKim, expectedRevision: byAgent.revision })).toBe('approver-conflict');
    const byKey = await ask({ reason: 'owned key' }, { caller: { ...boundKey(sam), boundTo: null, owner: kim } });
    expect(await at.refused('GrantApproval', { approvalId: byKey.resourceId }, { ...asKim, expectedRevision: byKey.revision })).toBe('approver-conflict');
  });

  it('refuses those on whose behalf it was asked, and voters on behalf of the requester', async () => {
    const forKim = await ask({}, { actor: { ...sam, onBehalfOf: [kim] } });
    expect(await at.refused('GrantApproval', { approvalId: forKim.resourceId }, { ...asKim, expectedRevision: forKim.revision })).toBe('approver-conflict');
    expect(await grantBy(kim, { actor: { ...kim, onBehalfOf: [sam] } })).toBe('approver-conflict');
  });

  it('refuses a vote with a key that speaks for any actor, the root key included', async () => {
    expect(await grantBy(kim, { caller: { ...boundKey(kim), boundTo: null } })).toBe('approver-not-eligible');
    expect(await grantBy(kim, { caller: rootKey })).toBe('approver-not-eligible');
  });

  it('refuses a vote with a key that somebody in the requester chain made', async () => {
    expect(await grantBy(kim, { caller: boundKey(kim, { createdBy: sam }) })).toBe('approver-conflict');
    const payload = { name: 'kim', scopes: ['site:tnt_demo:approve'], actor: { ...kim } };
    await at.must('CreateApiKey', payload, { caller: boundKey(sam, { isAdmin: true }) });
    await at.must('CreateApiKey', payload, { caller: rootKey });
    expect((await at.events('ApiKeyCreated')).map(({ data }) => (JSON.parse(data) as { createdBy: unknown }).createdBy)).toEqual([sam, null]);
  });

  it('lets nobody but the requester use it, and no voter', async () => {
    const approval = await approved();
    expect(await at.refused(rotation, whs, { actor: lee, caller: boundKey(lee), ...withApproval(approval) })).toBe('approval-required');
    await at.must('SetApprovalPolicy', { commandType: rotation, executor: 'ANYONE' }, { caller: rootKey });
    const open = await approved();
    expect(await at.refused(rotation, whs, { ...asKim, ...withApproval(open) })).toBe('approval-required');
    await at.must(rotation, whs, { actor: lee, caller: boundKey(lee), ...withApproval(open) });
  });

  it('needs the revision that was looked at, and refuses another', async () => {
    const approval = await ask();
    expect(await at.refused('GrantApproval', { approvalId: approval.resourceId }, asKim)).toBe('precondition-required');
    expect(await at.refused('GrantApproval', { approvalId: approval.resourceId }, { ...asKim, expectedRevision: 7 })).toBe('precondition-failed');
  });
});

describe('RequestApproval', () => {
  it('answers an identical open request of the same requester instead of making another', async () => {
    const first = await ask({ expiresOn: '2026-11-22T12:00:00Z' });
    const second = await ask({ expiresOn: '2026-11-22T13:00:00+01:00' });
    expect(second).toMatchObject({ outcome: 'NO_CHANGE', resourceId: first.resourceId });
    const other = await ask({ expiresOn: '2026-11-22T12:00:00Z' }, { actor: lee, caller: boundKey(lee) });
    expect(other.resourceId).not.toBe(first.resourceId);
    // Approvers are shown the payload, also where it is not bound.
    const shown = await ask({ expiresOn: '2026-11-22T12:00:00Z', payload: { graceSeconds: 0 } });
    expect(shown).toMatchObject({ outcome: 'APPLIED' });
    expect(await ask({ expiresOn: '2026-11-22T12:00:00Z', payload: { graceSeconds: 0 } })).toMatchObject({ outcome: 'NO_CHANGE', resourceId: shown.resourceId });
  });

  it('is another request with another key: the owner of that one must not decide on it', async () => {
    const owned = (keyId: string, owner: Principal): Parameters<GovernedWorld['must']>[2] => ({ caller: { ...boundKey(sam), keyId, boundTo: null, owner } });
    const first = await ask({ expiresOn: '2026-11-22T12:00:00Z' }, owned('key_a', lee));
    const second = await ask({ expiresOn: '2026-11-22T12:00:00Z' }, owned('key_b', kim));
    expect(second.resourceId).not.toBe(first.resourceId);
    expect(await at.refused('GrantApproval', { approvalId: second.resourceId }, { ...asKim, expectedRevision: second.revision })).toBe('approver-conflict');
  });

  it('meets itself when the answer was lost', async () => {
    const first = await ask({}, { idempotencyKey: 'k' });
    expect(await ask({}, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, resourceId: first.resourceId });
  });

  it('is refused for a command that can\'t be gated', async () => {
    expect(await at.refused('RequestApproval', { commandType: 'PublishEvent', resourceId: 'x', expiresOn: inHours(1) })).toBe('validation-failed');
  });

  it.each([
    ['SetApprovalPolicy', 'orders'],
    ['SetApprovalPolicy', 'pausewebhooksubscription'],
    ['SetApprovalPolicy', 'PublishEvent'],
    [rotation, 'Whs'],
  ])('for %s is refused for a resource that such a command never changes (%s)', async (commandType, resourceId) => {
    expect(await at.send('RequestApproval', { commandType, resourceId, expiresOn: inHours(1) })).toMatchObject({ refused: 'validation-failed', members: { errors: [{ path: 'payload.resourceId' }] } });
    expect(await at.events('CommandClaimed')).toHaveLength(1);
  });
});

describe('an approval bound to the payload', () => {
  const gatedUpsert = async (): Promise<void> => void (await at.must('SetApprovalPolicy', { commandType: 'UpsertWebhookSubscription', required: true }, { caller: rootKey }));

  it('is the default for Upsert, and good for exactly that payload', async () => {
    await gatedUpsert();
    const payload = upsertOf('whs_1', { targetUrl: 'https://new.example/' });
    const approval = await ask({ commandType: 'UpsertWebhookSubscription', payload });
    await grant(approval);
    const smuggled = await at.send('UpsertWebhookSubscription', upsertOf('whs_1', { targetUrl: 'https://evil.example/' }), withApproval(approval));
    expect(smuggled).toMatchObject({ refused: 'approval-binding-mismatch', members: { approvedDigest: expect.any(String) as unknown, presentedDigest: expect.any(String) as unknown } });
    await at.must('UpsertWebhookSubscription', payload, withApproval(approval));
  });

  it('may be for a subscription that does not exist; created by somebody else first, it is void', async () => {
    await gatedUpsert();
    const payload = upsertOf('whs_new');
    const approval = await ask({ commandType: 'UpsertWebhookSubscription', resourceId: 'whs_new', payload });
    await grant(approval);
    await at.must('UpsertWebhookSubscription', payload, { caller: null });
    expect(await at.refused('UpsertWebhookSubscription', payload, withApproval(approval))).toBe('approval-invalidated');
  });

  it('keeps an imported secret out of the log, the template and the dry run', async () => {
    await gatedUpsert();
    const imported = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
    const payload = upsertOf('whs_imported', { signingSecretRef: imported });
    const refusal = await at.send('UpsertWebhookSubscription', payload);
    const approval = await ask({ commandType: 'UpsertWebhookSubscription', resourceId: 'whs_imported', payload });
    await grant(approval);
    const dryRun = await at.pipeline.dryRun(commandOf('UpsertWebhookSubscription', payload, { idempotencyKey: 'dry', ...withApproval(approval) }));
    const answer = await at.must('UpsertWebhookSubscription', payload, withApproval(approval));
    const everything = JSON.stringify([refusal, dryRun, answer, await at.events()]);
    expect(everything).not.toContain(imported);
    expect(everything).not.toContain(imported.slice('whsec_'.length));
  });

  it('keeps no imported secret of a payload wherever it stands in it, and is good for that payload', async () => {
    const hidden = { other: [{ signingSecretRef: 'whsec_nested' }], signingSecretRef: ' whsec_after-a-blank' };
    const approval = await ask({ payload: hidden });
    expect((await at.events('ApprovalRequested')).map(({ data }) => data).join()).not.toContain('whsec_');
    expect(await ask({ payload: hidden })).toMatchObject({ outcome: 'NO_CHANGE', resourceId: approval.resourceId });
  });

  it('does not let an upsert smuggle a pause past the gate of Pause', async () => {
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }, { caller: rootKey });
    expect(await at.refused('UpsertWebhookSubscription', upsertOf('whs_1', { status: 'PAUSED' }))).toBe('approval-required');
    const approval = await ask({ commandType: 'PauseWebhookSubscription' });
    await grant(approval);
    await at.must('UpsertWebhookSubscription', upsertOf('whs_1', { status: 'PAUSED' }));
    expect(await at.events('ApprovalConsumed')).toHaveLength(1);
  });

  it('needs both approvals where an upsert is gated and pauses, whichever of them is named', async () => {
    await gatedUpsert();
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }, { caller: rootKey });
    const payload = upsertOf('whs_1', { status: 'PAUSED' });
    const forUpsert = await ask({ commandType: 'UpsertWebhookSubscription', payload });
    await grant(forUpsert);
    expect(await at.refused('UpsertWebhookSubscription', payload, withApproval(forUpsert))).toMatch(/^approval-/);
    const forPause = await ask({ commandType: 'PauseWebhookSubscription' });
    await grant(forPause);
    await at.must('UpsertWebhookSubscription', payload, withApproval(forPause));
    expect(await at.events('ApprovalConsumed')).toHaveLength(2);
  });

  it('does not let an upsert smuggle in a new secret', async () => {
    expect(await at.refused('UpsertWebhookSubscription', upsertOf('whs_1', { signingSecretRef: `whsec_${Buffer.alloc(32, 5).toString('base64')}` }))).toBe('secret-change-needs-rotation');
  });
});

describe('SetApprovalPolicy', () => {
  const byAdmin = { actor: lee, caller: boundKey(lee, { isAdmin: true }) };

  it('holds for the next command, and counts its versions', async () => {
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: true }, byAdmin);
    expect(await at.refused('PauseWebhookSubscription', whs)).toBe('approval-required');
    await at.must('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription', required: false }, byAdmin);
    expect(await at.must('PauseWebhookSubscription', whs)).toMatchObject({ outcome: 'APPLIED' });
  });

  it('refuses approvers who never vote, and a quorum that can\'t be met', async () => {
    expect(await at.refused('SetApprovalPolicy', { commandType: rotation, approvers: [{ type: 'AGENT', id: 'bot' }] }, byAdmin)).toBe('validation-failed');
    expect(await at.refused('SetApprovalPolicy', { commandType: rotation, approvers: [{ ...kim }, { type: 'USER', id: 'USR_KIM' }], minApprovals: 2 }, byAdmin)).toBe('validation-failed');
  });

  it('refuses a list that needs the vote of who sets it', async () => {
    expect(await at.refused('SetApprovalPolicy', { commandType: rotation, approvers: [{ ...lee }] }, byAdmin)).toBe('validation-failed');
    expect(await at.refused('SetApprovalPolicy', { commandType: rotation, approvers: [{ ...lee }, { ...kim }], minApprovals: 2 }, byAdmin)).toBe('validation-failed');
    await at.must('SetApprovalPolicy', { commandType: rotation, approvers: [{ ...lee }, { ...kim }] }, byAdmin);
  });

  it('with an empty list of approvers denies', async () => {
    await at.must('SetApprovalPolicy', { commandType: rotation, approvers: [] }, byAdmin);
    expect(await at.refused('RequestApproval', { commandType: rotation, resourceId: 'whs_1', expiresOn: inHours(1) })).toBe('approver-not-eligible');
    expect(await at.refused(rotation, whs)).toBe('approval-required');
  });

  it('can be gated itself; the root key goes past that gate, and the log says so', async () => {
    await at.must('SetApprovalPolicy', { commandType: 'SetApprovalPolicy', required: true }, byAdmin);
    expect(await at.refused('SetApprovalPolicy', { commandType: 'SetApprovalPolicy', required: false }, byAdmin)).toBe('approval-required');
    await at.must('SetApprovalPolicy', { commandType: 'SetApprovalPolicy', required: false }, { caller: rootKey });
    expect((await at.events()).filter(({ type }) => type.startsWith('ApprovalPolicy')).map(({ type }) => type)).toEqual(['ApprovalPolicySet', 'ApprovalPolicyOverridden']);
  });
});

describe('every gateable command', () => {
  it.each(gateableCommands)('%s has a stream that is a function of tenant, environment and resource id alone', async (commandType) => {
    const definition = gateableDefinition(commandType);
    const id = commandType === 'SetApprovalPolicy' ? rotation : 'given-id';
    const payload = { ...upsertOf('unused'), [definition.idMember]: id };
    const others = [{ idempotencyKey: 'one' }, { idempotencyKey: 'two', ...asKim }, { idempotencyKey: 'three', expectedRevision: 3 }];
    const answers = await Promise.all(others.map((more) => at.pipeline.dryRun(commandOf(commandType, payload, more))));
    expect(new Set(answers.map(({ resourceId }) => resourceId))).toEqual(new Set([id]));
    expect(Object.keys(definition)).not.toContain('locate');
  });

  it('is every command that has gates', () => {
    const gated = commandDefinitions.filter((definition) => 'gates' in definition).map(({ type }) => type);
    expect(gated.sort()).toEqual([...gateableCommands].sort());
  });
});

describe('a dry run', () => {
  it('names the events it would write and writes nothing', async () => {
    const before = at.log.head;
    expect(await at.pipeline.dryRun(commandOf('PauseWebhookSubscription', whs, { idempotencyKey: 'k' }))).toMatchObject({ outcome: 'APPLIED', events: [{ type: 'WebhookSubscriptionPaused' }], unmet: [] });
    expect(at.log.head).toBe(before);
  });

  it('writes nothing in a site where nothing has ever happened', async () => {
    const fresh = governedWorld();
    expect(await fresh.pipeline.dryRun(commandOf('UpsertWebhookSubscription', upsertOf('whs_1'), { idempotencyKey: 'k' }))).toMatchObject({ outcome: 'APPLIED' });
    expect(fresh.log.head).toBe(0);
  });

  it('names every unmet condition at once', async () => {
    const answer = await at.pipeline.dryRun(commandOf(rotation, { webhookSubscriptionId: 'whs_unknown' }, { idempotencyKey: 'k', expectedRevision: 4 }));
    expect(answer.unmet.map(({ refused }) => refused)).toEqual(['precondition-failed', 'approval-required', 'not-found']);
  });
});
