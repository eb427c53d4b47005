import { describe, expect, it } from '@jest/globals';
import { type ApprovalBinding, type ApprovalCommand, type ApprovalEvent, type ApprovalPolicy, type ApprovalState, decideApproval, defaultPolicy, evolveApproval, initialApproval, isOverdue, overdueFacts, statusNow, type Voter } from '#approvals';
import { formatInstant, type Principal } from '#kernel';
import { decisionsOf, type Fact } from '../../test/support/given.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';

const { given } = decisionsOf<ApprovalState, ApprovalCommand, ApprovalEvent>({ initialState: initialApproval, evolve: evolveApproval, decide: decideApproval });

const id = 'apr_1';
const now = simulatedStart;
const hour = 3_600_000;
const sam: Principal = { type: 'USER', id: 'usr_sam' };
const kim: Principal = { type: 'USER', id: 'usr_kim' };
const lee: Principal = { type: 'USER', id: 'usr_lee' };
const bound = { policyVersion: 0, incarnation: 'created-1' };
const binding: ApprovalBinding = { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', level: 'RESOURCE', actionDigest: null, ...bound };
const policy = defaultPolicy('RotateWebhookSubscriptionSecret');

interface Asked {
  readonly policy?: Partial<ApprovalPolicy>;
  readonly chain?: readonly Principal[];
  readonly eligible?: readonly Principal[];
  readonly dueOnMs?: number;
  readonly expiresOnMs?: number;
}

const request = ({ policy: change = {}, chain = [sam], eligible = [kim, lee, sam], dueOnMs, expiresOnMs = now + 24 * hour }: Asked = {}): Extract<ApprovalCommand, { do: 'request' }> => ({
  do: 'request',
  id,
  nowMs: now,
  binding,
  policy: { ...policy, ...change },
  eligible,
  requester: sam,
  onBehalfOf: [],
  chain,
  requesterKeyId: 'key_sam',
  resourceMayBeMissing: false,
  reason: 'rotate after the incident',
  payload: null,
  dueOnMs: dueOnMs ?? null,
  expiresOnMs,
});

function requested(asked: Asked = {}): Extract<ApprovalEvent, { type: 'ApprovalRequested' }> {
  const { do: _do, id: _id, nowMs, resourceMayBeMissing, dueOnMs, expiresOnMs, ...data } = request(asked);
  return { type: 'ApprovalRequested', data: { ...data, dueOn: dueOnMs === null ? null : formatInstant(dueOnMs), expiresOn: formatInstant(expiresOnMs) } };
}

const voter = (principal: Principal, more: Partial<Voter> = {}): Voter => ({ principal, keyId: `key_${principal.id}`, bound: true, alsoFor: [], isAdmin: false, ...more });
const grant = (by: Voter = voter(kim), more: Partial<Extract<ApprovalCommand, { do: 'grant' }>> = {}): ApprovalCommand => ({ do: 'grant', id, nowMs: now, voter: by, bound, reason: null, ...more });
const deny = (by: Voter = voter(kim)): ApprovalCommand => ({ do: 'deny', id, nowMs: now, voter: by, bound, reason: 'no' });
const withdraw = (by: Voter = voter(sam)): ApprovalCommand => ({ do: 'withdraw', id, nowMs: now, voter: by, bound, reason: null });
const revoke = (by: Voter = voter(kim)): ApprovalCommand => ({ do: 'revoke', id, nowMs: now, voter: by, bound, reason: 'changed my mind' });
const cast = (principal: Principal, asserted = false): ApprovalEvent => ({ type: 'ApprovalVoteCast', data: { voter: principal, keyId: `key_${principal.id}`, asserted, reason: null } });
const granted: ApprovalEvent = { type: 'ApprovalGranted', data: {} };
const denied: ApprovalEvent = { type: 'ApprovalDenied', data: { voter: kim, keyId: 'key_usr_kim', asserted: false, reason: 'no' } };
const withdrawn: ApprovalEvent = { type: 'ApprovalWithdrawn', data: { reason: null } };
const revoked: ApprovalEvent = { type: 'ApprovalRevoked', data: { by: kim, reason: 'changed my mind' } };
const mirrored: ApprovalEvent = { type: 'ApprovalUseMirrored', data: { commandId: 'cmd_1', position: '9' } };
const approved: readonly Fact<ApprovalEvent>[] = [requested(), cast(kim), granted];

describe('RequestApproval', () => {
  it('is PENDING, with the policy and the approver set as they were', () => given().when(request()).then(requested()));
  it('is refused for a resource that does not exist', () => given().when({ ...request(), binding: { ...binding, incarnation: 'NONE' } }).thenRefused('not-found'));
  it('may be for a subscription that an upsert is yet to create', () => {
    const decision = given().when({ ...request(), binding: { ...binding, incarnation: 'NONE' }, resourceMayBeMissing: true }).decision;
    expect(decision).toHaveProperty('events.length', 1);
  });
  it('refuses an expiry that is not ahead, or outside the bounds of the policy', () => {
    given().when(request({ expiresOnMs: now })).thenRefused('validation-failed');
    given().when(request({ policy: { maxTtlSeconds: 60 }, expiresOnMs: now + 61_000 })).thenRefused('validation-failed');
    given().when(request({ policy: { minTtlSeconds: 60 }, expiresOnMs: now + 59_000 })).thenRefused('validation-failed');
  });
  it('refuses a dueOn that is not ahead, or after the expiry', () => {
    given().when(request({ dueOnMs: now })).thenRefused('validation-failed');
    given().when(request({ dueOnMs: now + 25 * hour })).thenRefused('validation-failed');
    given().when(request({ dueOnMs: now + 24 * hour })).then(requested({ dueOnMs: now + 24 * hour }));
  });
  it('is refused when nobody outside the requester chain could grant it', () => {
    given().when(request({ eligible: [sam] })).thenRefused('approver-not-eligible');
    given().when(request({ eligible: [] })).thenRefused('approver-not-eligible');
    given().when(request({ eligible: [sam, kim], policy: { minApprovals: 2 } })).thenRefused('approver-not-eligible');
  });
});

describe('GrantApproval', () => {
  it('is a vote, and with the quorum APPROVED', () => given(requested()).when(grant()).then(cast(kim), granted));
  it('is a vote only while the quorum is not reached', () => given(requested({ policy: { minApprovals: 2 } })).when(grant()).then(cast(kim)));
  it('reaches a quorum of two with the second voter', () => given(requested({ policy: { minApprovals: 2 } }), cast(kim)).when(grant(voter(lee))).then(cast(lee), granted));
  it('counts a voter once', () => given(requested({ policy: { minApprovals: 2 } }), cast(kim)).when(grant()).thenRefused('approval-not-pending'));
  it('is refused by the requester, in another letter case too', () => {
    given(requested()).when(grant(voter(sam))).thenRefused('approver-conflict');
    given(requested()).when(grant(voter({ type: 'USER', id: 'USR_Sam' }))).thenRefused('approver-conflict');
  });
  it('is refused by the requester under a second key', () => given(requested()).when(grant(voter(sam, { keyId: 'key_other' }))).thenRefused('approver-conflict'));
  it('is refused with the key that made the request', () => given(requested()).when(grant(voter(kim, { keyId: 'key_sam' }))).thenRefused('approver-conflict'));
  it('is refused by whom the requester acted for, and by the owner of a requesting agent', () => {
    given(requested({ chain: [sam, kim] })).when(grant()).thenRefused('approver-conflict');
  });
  it('is refused on behalf of somebody in the chain', () => given(requested()).when(grant(voter(kim, { alsoFor: [sam] }))).thenRefused('approver-conflict'));
  it('is refused by an agent, a connector and the system', () => {
    for (const type of ['AGENT', 'CONNECTOR', 'SYSTEM'] as const) given(requested({ eligible: [kim, { type, id: 'x' }] })).when(grant(voter({ type, id: 'x' }))).thenRefused('approver-not-eligible');
  });
  it('is open to a service that the policy lists, and to no other', () => {
    const ci: Principal = { type: 'SERVICE', id: 'ci' };
    given(requested({ eligible: [ci, kim] })).when(grant(voter(ci))).then(cast(ci), granted);
    given(requested()).when(grant(voter(ci))).thenRefused('approver-not-eligible');
  });
  it('is refused by who is not eligible', () => given(requested({ eligible: [lee] })).when(grant()).thenRefused('approver-not-eligible'));
  it('needs a key bound to the voter, unless the policy trusts asserted voters; then the log says so', () => {
    given(requested()).when(grant(voter(kim, { bound: false }))).thenRefused('approver-not-eligible');
    given(requested({ policy: { voters: 'ASSERTED' } })).when(grant(voter(kim, { bound: false }))).then(cast(kim, true), granted);
  });
  it('is refused from the moment of expiry on', () => {
    given(requested()).when(grant(voter(kim), { nowMs: now + 24 * hour - 1 })).then(cast(kim), granted);
    given(requested()).when(grant(voter(kim), { nowMs: now + 24 * hour })).thenRefused('approval-not-pending');
  });
  it('does not take a clock that went back for time regained', () => {
    const late: Fact<ApprovalEvent> = { type: 'ApprovalDueReminded', data: {}, atMs: now + 24 * hour };
    given(requested(), late).when(grant(voter(kim), { nowMs: now })).thenRefused('approval-not-pending');
  });
  it('is usable after dueOn where that is a reminder, and closed by it where it closes the decision', () => {
    given(requested({ dueOnMs: now + hour })).when(grant(voter(kim), { nowMs: now + 2 * hour })).then(cast(kim), granted);
    given(requested({ dueOnMs: now + hour, policy: { dueOnMode: 'closesDecision' } })).when(grant(voter(kim), { nowMs: now + hour })).thenRefused('approval-not-pending');
  });
  it('is refused when the policy or the resource is another one now', () => {
    given(requested()).when(grant(voter(kim), { bound: { ...bound, policyVersion: 1 } })).thenRefused('approval-not-pending');
    given(requested()).when(grant(voter(kim), { bound: { ...bound, incarnation: 'created-2' } })).thenRefused('approval-not-pending');
  });
  it.each([
    ['APPROVED', [requested(), cast(lee), granted]],
    ['DENIED', [requested(), denied]],
    ['WITHDRAWN', [requested(), withdrawn]],
    ['REVOKED', [...approved, revoked]],
    ['CONSUMED', [...approved, mirrored]],
    ['EXPIRED', [requested(), { type: 'ApprovalExpired', data: {} }]],
    ['INVALIDATED', [requested(), { type: 'ApprovalInvalidated', data: { cause: 'policy-changed' } }]],
  ] as const)('is refused and not stored on one that is %s', (_status, history) => given(...(history as readonly Fact<ApprovalEvent>[])).when(grant()).thenRefused('approval-not-pending'));
  it('is refused where there is none', () => given().when(grant()).thenRefused('not-found'));
});

describe('DenyApproval', () => {
  it('ends it with one voice, after a grant too', () => {
    given(requested()).when(deny()).then(denied);
    given(requested({ policy: { minApprovals: 2 } }), cast(lee)).when(deny()).then(denied);
  });
  it('is refused by the requester, by who is not eligible, and on a closed one', () => {
    given(requested()).when(deny(voter(sam))).thenRefused('approver-conflict');
    given(requested({ eligible: [lee] })).when(deny()).thenRefused('approver-not-eligible');
    given(...approved).when(deny(voter(lee))).thenRefused('approval-not-pending');
  });
});

describe('WithdrawApproval', () => {
  it('is the requester\'s, while PENDING or APPROVED', () => {
    given(requested()).when(withdraw()).then(withdrawn);
    given(...approved).when(withdraw()).then(withdrawn);
  });
  it('does nothing twice', () => given(requested(), withdrawn).when(withdraw()).thenNothing());
  it('is refused by anybody else', () => given(requested()).when(withdraw(voter(kim))).thenRefused('forbidden'));
  it('is refused once used or denied', () => {
    given(...approved, mirrored).when(withdraw()).thenRefused('approval-already-used');
    given(requested(), denied).when(withdraw()).thenRefused('approval-not-pending');
  });
});

describe('RevokeApproval', () => {
  it('is an approver\'s, or an administrator\'s', () => {
    given(...approved).when(revoke()).then(revoked);
    given(...approved).when(revoke(voter({ type: 'USER', id: 'root' }, { isAdmin: true, bound: false }))).then({ ...revoked, data: { by: { type: 'USER', id: 'root' }, reason: 'changed my mind' } });
  });
  it('does nothing twice', () => given(...approved, revoked).when(revoke()).thenNothing());
  it('is refused by anybody else, and by an approver\'s name under a key that is not theirs', () => {
    given(...approved).when(revoke(voter({ type: 'USER', id: 'usr_max' }))).thenRefused('approver-not-eligible');
    given(...approved).when(revoke(voter(kim, { bound: false }))).thenRefused('approver-not-eligible');
  });
  it('is refused before it was approved, and after its use', () => {
    given(requested()).when(revoke()).thenRefused('approval-not-pending');
    given(...approved, mirrored).when(revoke()).thenRefused('approval-already-used');
  });
});

describe('an approval as it reads now', () => {
  const at = (history: readonly Fact<ApprovalEvent>[], nowMs: number, world = bound): string => {
    const { state } = given(...history);
    return state.status === 'NONE' ? 'NONE' : statusNow(state, world, nowMs);
  };
  it('is EXPIRED at expiresOn without any event, when PENDING and when APPROVED', () => {
    expect(at([requested()], now + 24 * hour)).toBe('EXPIRED');
    expect(at(approved, now + 24 * hour)).toBe('EXPIRED');
    expect(at(approved, now + 24 * hour - 1)).toBe('APPROVED');
  });
  it('is INVALIDATED at once when the policy version or the incarnation differs', () => {
    expect(at(approved, now, { ...bound, policyVersion: 1 })).toBe('INVALIDATED');
    expect(at(approved, now, { ...bound, incarnation: 'created-2' })).toBe('INVALIDATED');
  });
  it('stays APPROVED past dueOn, in both modes: only the decision is closed', () => {
    const closes = [requested({ dueOnMs: now + hour, policy: { dueOnMode: 'closesDecision' } }), cast(kim), granted];
    expect(at(closes, now + 2 * hour)).toBe('APPROVED');
  });
  it('is CONSUMED when a use that came before a revoke or a withdrawal is mirrored', () => {
    expect(at([...approved, revoked, mirrored], now)).toBe('CONSUMED');
    expect(at([...approved, withdrawn, mirrored], now)).toBe('CONSUMED');
  });
  it('is overdue from dueOn on while undecided', () => {
    const { state } = given(requested({ dueOnMs: now + hour }));
    expect(state.status === 'NONE' ? [] : [isOverdue(state, now + hour - 1), isOverdue(state, now + hour)]).toEqual([false, true]);
  });
  it('gets its expiry, invalidation and reminder recorded once', () => {
    const facts = (history: readonly Fact<ApprovalEvent>[], nowMs: number, world = bound): string[] => overdueFacts(given(...history).state, world, nowMs).map(({ type }) => type);
    expect(facts([requested()], now + 24 * hour)).toEqual(['ApprovalExpired']);
    expect(facts(approved, now, { ...bound, policyVersion: 2 })).toEqual(['ApprovalInvalidated']);
    expect(facts([requested({ dueOnMs: now + hour })], now + hour)).toEqual(['ApprovalDueReminded']);
    expect(facts([requested({ dueOnMs: now + hour }), { type: 'ApprovalDueReminded', data: {} }], now + hour)).toEqual([]);
    expect(facts([requested(), denied], now + 48 * hour)).toEqual([]);
    expect(facts([...approved, mirrored], now + 48 * hour)).toEqual([]);
  });
});
