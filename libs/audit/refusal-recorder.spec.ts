import { describe, expect, it } from '@jest/globals';
import { commandOf, kim, sam, site, through } from '../../test/support/governed-world.ts';
import { TestLog } from '../../test/support/log.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { type JsonObject, type RecordedEvent, refuse, type Refusal } from '#kernel';
import { createRefusalRecorder, type RefusalAlarm, type RefusalRecorder, type RefusedRequest, refusalBurst, refusalsPerSecond, waitingRefusals } from './refusal-recorder.ts';

function world(wrap: (store: EventStore) => Pick<EventStore, 'append'> = (store) => store) {
  const clock = simulatedClock();
  const log = new TestLog(clock);
  const alarms: RefusalAlarm[] = [];
  const recorder = createRefusalRecorder({ store: wrap(log.store), clock, ids: seededIds(3), onAlarm: (alarm) => void alarms.push(alarm) });
  const events = (): readonly RecordedEvent[] => log.of('refusal-');
  const data = (): readonly JsonObject[] => events().map((event) => JSON.parse(event.data) as JsonObject);
  return { clock, log, alarms, recorder, events, data };
}

let keys = 0;
const rotate = (more: Partial<RefusedRequest> = {}): RefusedRequest => ({ ...commandOf('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'orders', signingSecretRef: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' }, { idempotencyKey: `the-key-${(keys += 1)}` }), ...more });
const required = refuse('approval-required', 'It needs an approval.', { approvalRequest: { payload: { secret: 'whsec_x' } } });
const times = (count: number, recorder: RefusalRecorder, request: () => RefusedRequest = () => rotate(), refusal: Refusal = required): void => {
  for (let time = 0; time < count; time += 1) recorder.record(request(), refusal);
};

describe('a refused attempt', () => {
  it('is recorded in a stream of its own: who, what, why, and no payload, secret or idempotency key', async () => {
    const { recorder, events, data } = world();
    recorder.record(rotate({ approvalId: 'apr_1', actor: { ...sam, onBehalfOf: [kim] } }), required);
    await recorder.stop();
    const [event] = events();
    expect(event?.stream).toMatch(/^refusal-tnt_demo\.production\.ref_[0-9a-z]{26}$/);
    expect(event).toMatchObject({ type: 'CommandRefused', revision: 0, metadata: { tenant: 'tnt_demo', environment: 'production', actortype: 'USER', actorid: 'usr_sam', onbehalfof: 'USER:usr_kim', commandtype: 'RotateWebhookSubscriptionSecret', correlationid: 'test', recordedat: '2026-11-21T12:00:00.000Z' } });
    expect(data()).toEqual([{ commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', code: 'approval-required', detail: 'It needs an approval.', keyId: 'key_usr_sam', approvalId: 'apr_1', suppressed: 0 }]);
    expect(JSON.stringify(event)).not.toMatch(/whsec_|signingSecretRef|the-key/);
  });

  it('is what it was when it was refused: nothing of the request is held on to while it waits', async () => {
    const { recorder, data } = world();
    const request = rotate();
    recorder.record(request, required);
    Reflect.set(request.payload, 'webhookSubscriptionId', 'another');
    await recorder.stop();
    // The first one is on its way at once; the second waits behind it.
    const second = rotate();
    recorder.record(rotate(), required);
    recorder.record(second, required);
    Reflect.set(second.payload, 'webhookSubscriptionId', 'another');
    await recorder.stop();
    expect(data().map(({ resourceId }) => resourceId)).toEqual(['orders', 'orders', 'orders']);
  });

  it('is only what the audit design names: gated commands and votes, by callers, for these reasons', async () => {
    const { recorder, data } = world();
    const vote = (commandType: string): RefusedRequest => ({ ...commandOf(commandType, { approvalId: 'apr_1', reason: 'x' }, { idempotencyKey: 'k' }) });
    const recorded = ['approval-required', 'approval-pending', 'approval-expired', 'approval-denied', 'approval-withdrawn', 'approval-revoked', 'approval-invalidated', 'approval-already-used', 'approval-binding-mismatch', 'actor-not-allowed'];
    for (const code of [...recorded, 'not-found', 'validation-failed', 'precondition-failed', 'target-url-refused', 'forbidden', 'store-unavailable']) recorder.record(rotate(), refuse(code, '.'));
    for (const code of ['approver-conflict', 'approver-not-eligible', 'approval-not-pending']) recorder.record(vote('GrantApproval'), refuse(code, '.'));
    recorder.record(rotate({ caller: null }), required);
    recorder.record({ ...rotate(), commandType: 'PublishEvent' }, refuse('actor-not-allowed', '.'));
    recorder.record({ ...rotate(), commandType: 'CreateApiKey' }, refuse('actor-not-allowed', '.'));
    await recorder.stop();
    expect(data().map(({ code }) => code)).toEqual([...recorded, 'approver-conflict', 'approver-not-eligible', 'approval-not-pending']);
    expect(data().at(-1)).toMatchObject({ commandType: 'GrantApproval', resourceId: 'apr_1', approvalId: 'apr_1' });
  });

  it('names what would have been made, what an approval is asked for, and nothing that is no id', async () => {
    const { recorder, data } = world();
    const of = (commandType: string, payload: JsonObject): RefusedRequest => commandOf(commandType, payload, { idempotencyKey: 'k' });
    recorder.record(of('UpsertWebhookSubscription', {}), required);
    recorder.record(of('RequestApproval', { commandType: 'PauseWebhookSubscription', resourceId: 'orders' }), refuse('approver-not-eligible', '.'));
    recorder.record(of('SetApprovalPolicy', { commandType: 'PauseWebhookSubscription' }), required);
    recorder.record({ ...of('PauseWebhookSubscription', { webhookSubscriptionId: 'my password' }), actor: null }, refuse('actor-not-allowed', '.'));
    await recorder.stop();
    expect(data().map(({ resourceId }) => resourceId)).toEqual([expect.stringMatching(/^whs_/), 'orders', 'PauseWebhookSubscription', null]);
  });
});

describe('the rate of one key in one site', () => {
  it('lets a burst pass, then so many a second; what was too many stands as a number in the next one', async () => {
    const { clock, recorder, data } = world();
    times(refusalBurst + 7, recorder);
    await clock.advance(0);
    expect(data()).toHaveLength(refusalBurst);
    await clock.advance(1_000 / refusalsPerSecond);
    expect(data().map(({ suppressed }) => suppressed)).toEqual([...Array<number>(refusalBurst).fill(0), 6]);
    await clock.advance(60_000);
    times(1, recorder);
    await clock.advance(0);
    expect(data().at(-1)?.['suppressed']).toBe(0);
  });

  it('holds over time, and every refusal is recorded or counted', async () => {
    const { clock, recorder, data } = world();
    for (let ms = 0; ms < 3_000; ms += 10) {
      times(2, recorder);
      await clock.advance(10);
    }
    await recorder.stop();
    expect(data().length).toBeLessThanOrEqual(refusalBurst + 3 * refusalsPerSecond + 1);
    expect(data().reduce((sum, { suppressed }) => sum + 1 + Number(suppressed), 0)).toBe(600);
  });

  it('is its own: another key, and the same key in another site, are not held up', async () => {
    const { clock, recorder, events } = world();
    times(refusalBurst * 3, recorder);
    times(3, recorder, () => rotate({ caller: { keyId: 'key_other', isRoot: false, boundTo: null, owner: null, createdBy: null, isAdmin: false } }));
    times(3, recorder, () => rotate({ site: { ...site, environment: 'staging' } }));
    await clock.advance(0);
    expect(events()).toHaveLength(refusalBurst + 6);
  });

  it('is kept in bounded memory, however many sites a key names: what was held back of the oldest is written then', async () => {
    const { recorder, alarms, events } = world();
    times(refusalBurst + 1, recorder);
    await new Promise((resolve) => setImmediate(resolve));
    expect(events()).toHaveLength(refusalBurst);
    for (let n = 0; n < 10_100; n += 1) {
      recorder.record(rotate({ site: { tenant: `t${n}`, environment: 'production' } }), required);
      if (n % 500 === 499 || n === 10_099) await new Promise((resolve) => setImmediate(resolve));
    }
    expect([events().length, alarms.length]).toEqual([10_100 + refusalBurst + 1, 0]);
    await recorder.stop();
  });
});

describe('recording', () => {
  it('keeps the order, and is done at the stop, also for what was held back', async () => {
    const { recorder, data } = world();
    for (let n = 0; n < refusalBurst + 3; n += 1) recorder.record(rotate(), refuse('approval-required', String(n)));
    await recorder.stop();
    expect(data().map(({ detail }) => detail)).toEqual([...Array(refusalBurst).keys(), refusalBurst + 2].map(String));
  });

  it('survives a lost answer without recording twice', async () => {
    let calls = 0;
    const { clock, recorder, events, alarms } = world((store) => ({
      ...through(store),
      append: async (...args) => {
        calls += 1;
        const written = await store.append(...args);
        if (calls === 1) throw new OutcomeUnknown('no answer');
        return written;
      },
    }));
    times(2, recorder);
    await clock.advance(100);
    expect([events().length, alarms.length, calls]).toEqual([2, 0, 3]);
  });

  it('that fails is an alarm, holds nobody up, and the next one is recorded again', async () => {
    let down = true;
    const { clock, recorder, events, alarms } = world((store) => ({ ...through(store), append: (...args) => (down ? Promise.reject(new StoreUnavailable('down')) : store.append(...args)) }));
    times(1, recorder);
    await clock.advance(11_000);
    expect(alarms).toMatchObject([{ alarm: 'refusal-unrecorded', code: 'approval-required', correlationId: 'test' }]);
    down = false;
    times(1, recorder);
    await clock.advance(0);
    expect(events()).toHaveLength(1);
  });

  it('that meets a mistake is an alarm with its error', async () => {
    const { clock, recorder, alarms } = world((store) => ({ ...through(store), append: () => Promise.reject(new TypeError('not what an engine takes')) }));
    times(1, recorder);
    await clock.advance(0);
    expect(alarms).toMatchObject([{ alarm: 'refusal-unrecorded', err: expect.any(TypeError) }]);
  });

  it('waits with a bounded number while the store does not answer, and ends at the stop all the same', async () => {
    const { clock, recorder, alarms } = world((store) => ({ ...through(store), append: () => Promise.reject(new StoreUnavailable('down')) }));
    let site_ = 0;
    times(waitingRefusals + 11, recorder, () => rotate({ site: { tenant: `t${(site_ += 1)}`, environment: 'production' } }));
    expect(alarms).toHaveLength(10);
    const stopped = recorder.stop();
    await clock.advance(6_000);
    await stopped;
    expect(alarms).toHaveLength(waitingRefusals + 11);
  });
});
