import { beforeEach, describe, expect, it } from '@jest/globals';
import { type CommandAnswer, commandDefinitions, type CommandPipeline, createCommandPipeline, type EventToPublish, publishEvent } from '#command-pipeline';
import { appendInTurn, type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { isRefusal, type Json, type JsonObject, type Refusal, sleep } from '#kernel';
import { asKim, boundKey, commandOf, governedWorld, type GovernedWorld, lee, rootKey, sam, site, through, upsertOf } from '../../test/support/governed-world.ts';

const whs = { webhookSubscriptionId: 'whs_1' };
let at: GovernedWorld;

beforeEach(() => {
  at = governedWorld();
});

const create = (idempotencyKey: string, more: JsonObject = {}): ReturnType<typeof commandOf> => commandOf('UpsertWebhookSubscription', upsertOf('whs_1', more), { idempotencyKey });
const outcome = (answer: CommandAnswer | Refusal): string => (isRefusal(answer) ? answer.refused : `${answer.outcome}${answer.replayed ? ' replayed' : ''}`);
const codes = async (type: string): Promise<number> => (await at.events(type)).length;

describe('an idempotency key', () => {
  it('used again for the same request replays the answer, the secret left out', async () => {
    const first = await at.must('UpsertWebhookSubscription', upsertOf('whs_1'), { idempotencyKey: 'k' });
    const again = await at.must('UpsertWebhookSubscription', upsertOf('whs_1'), { idempotencyKey: 'k' });
    expect(first.secret?.reveal()).toMatch(/^whsec_/);
    expect(again).toEqual({ ...first, replayed: true, secret: null });
  });

  it.each<[string, JsonObject, object]>([
    ['payload', upsertOf('whs_1', { status: 'PAUSED' }), {}],
    ['resource', upsertOf('whs_2'), {}],
    ['actor', upsertOf('whs_1'), { actor: lee, caller: boundKey(lee) }],
    ['chain of people acted for', upsertOf('whs_1'), { actor: { ...sam, onBehalfOf: [lee] } }],
  ])('used again with another %s is refused', async (_what, payload, more) => {
    await at.pipeline.execute(create('k'));
    expect(await at.refused('UpsertWebhookSubscription', payload, { idempotencyKey: 'k', ...more })).toBe('idempotency-key-reused');
  });

  it('used again for another command is refused', async () => {
    await at.pipeline.execute(create('k'));
    expect(await at.refused('PauseWebhookSubscription', whs, { idempotencyKey: 'k' })).toBe('idempotency-key-reused');
  });

  it('used again for another resource changes neither', async () => {
    for (const id of ['whs_1', 'whs_2']) await at.must('UpsertWebhookSubscription', upsertOf(id));
    await at.must('PauseWebhookSubscription', whs, { idempotencyKey: 'k' });
    expect(await at.refused('PauseWebhookSubscription', { webhookSubscriptionId: 'whs_2' }, { idempotencyKey: 'k' })).toBe('idempotency-key-reused');
    expect(await codes('WebhookSubscriptionPaused')).toBe(1);
  });

  it('used again for what would be refused anyway is refused for the key', async () => {
    await at.pipeline.execute(create('k'));
    expect(await at.refused('PauseWebhookSubscription', { webhookSubscriptionId: 'none' }, { idempotencyKey: 'k' })).toBe('idempotency-key-reused');
    expect(await at.refused('PauseWebhookSubscription', { webhookSubscriptionId: 'none' }, { idempotencyKey: 'new' })).toBe('not-found');
  });

  it('that is bound seals no secret for another request', async () => {
    await at.pipeline.execute(create('k'));
    const sealed = await codes('SigningSecretStored');
    expect(await at.refused('UpsertWebhookSubscription', upsertOf('whs_2'), { idempotencyKey: 'k' })).toBe('idempotency-key-reused');
    expect(await codes('SigningSecretStored')).toBe(sealed);
  });

  it('that is new costs one append of the claim and the effect, and no read of the claim', async () => {
    await at.pipeline.execute(create('create'));
    const asked: string[] = [];
    const watched = at.another((inner) => ({
      ...through(inner),
      readStream: (stream, ...rest) => {
        asked.push(stream.replace(/-.*/, ''));
        return inner.readStream(stream, ...rest);
      },
      append: () => Promise.reject(new Error('one by one')),
      appendInTurn: (appends) => {
        asked.push(appends.map(({ stream }) => stream.replace(/-.*/, '')).join('+'));
        return appendInTurn(inner, appends);
      },
    }));
    expect(outcome(await watched.execute(commandOf('PauseWebhookSubscription', whs, { idempotencyKey: 'k' })))).toBe('APPLIED');
    expect(asked).not.toContain('command');
    expect(asked.at(-1)).toBe('command+webhooksubscription');
  });

  it('is another key in another site', async () => {
    await at.pipeline.execute(create('k'));
    expect(await at.must('UpsertWebhookSubscription', upsertOf('whs_1', { status: 'PAUSED' }), { idempotencyKey: 'k', site: { ...site, environment: 'staging' } })).toMatchObject({ outcome: 'APPLIED' });
  });

  it('knows the same request again with its members in another order', async () => {
    await at.pipeline.execute(create('k'));
    const reversed = Object.fromEntries<Json>(Object.entries(upsertOf('whs_1')).reverse());
    expect(await at.must('UpsertWebhookSubscription', reversed, { idempotencyKey: 'k' })).toMatchObject({ replayed: true });
  });

  it('works for ever: a no-op is replayed, not executed, when a delayed retry comes after the state has changed', async () => {
    await at.pipeline.execute(create('create'));
    await at.must('PauseWebhookSubscription', whs, { idempotencyKey: 'first' });
    expect(await at.must('PauseWebhookSubscription', whs, { idempotencyKey: 'noop' })).toMatchObject({ outcome: 'NO_CHANGE' });
    await at.must('ResumeWebhookSubscription', whs);
    await at.clock.advance(400 * 24 * 3_600_000);
    for (const idempotencyKey of ['first', 'noop']) expect(await at.must('PauseWebhookSubscription', whs, { idempotencyKey })).toMatchObject({ replayed: true });
    expect(await codes('WebhookSubscriptionPaused')).toBe(1);
  });

  it('is not burnt by a refusal: nothing is written', async () => {
    const head = at.log.head;
    expect(await at.refused('PauseWebhookSubscription', whs, { idempotencyKey: 'k' })).toBe('not-found');
    expect(await codes('CommandClaimed')).toBe(0);
    await at.pipeline.execute(create('create'));
    expect(await at.must('PauseWebhookSubscription', whs, { idempotencyKey: 'k' })).toMatchObject({ outcome: 'APPLIED' });
    expect(head).toBe(0);
  });

  it('is not burnt by a command that would write more than an append may hold: 413, nothing is written', async () => {
    await at.pipeline.execute(create('create'));
    const head = at.log.head;
    const expiresOn = new Date(at.clock.now() + 3_600_000).toISOString();
    const asking = { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', expiresOn };
    const answer = await at.send('RequestApproval', { ...asking, payload: { note: 'x'.repeat(900 * 1024) } }, { idempotencyKey: 'k' });
    expect(answer).toMatchObject({ refused: 'payload-too-large', members: { limitBytes: 900 * 1024 } });
    expect(at.log.head).toBe(head);
    expect(await at.must('RequestApproval', asking, { idempotencyKey: 'k' })).toMatchObject({ outcome: 'APPLIED' });
  });

  it('whose claim was written by a process that died executes once, and is refused for another request', async () => {
    const dying = at.another((inner) => ({ ...through(inner), append: (stream, ...rest) => (stream.startsWith('webhooksubscription-') ? new Promise<never>(() => undefined) : inner.append(stream, ...rest)) }));
    void dying.execute(create('k'));
    await at.clock.advance(0);
    expect(await codes('CommandClaimed')).toBe(1);
    expect(outcome(await at.pipeline.execute(create('k', { status: 'PAUSED' })))).toBe('idempotency-key-reused');
    expect(outcome(await at.pipeline.execute(create('k')))).toBe('APPLIED');
    expect(await codes('WebhookSubscriptionCreated')).toBe(1);
  });
});

describe('a key that is held by another process', () => {
  const held = (): CommandPipeline => createCommandPipeline({ ...at.world, inFlight: { once: () => Promise.resolve('busy') } }, commandDefinitions);

  it('is busy until there is a receipt; then it is answered at once, though its holder has died', async () => {
    await at.pipeline.execute(create('create'));
    const pause = commandOf('PauseWebhookSubscription', whs, { idempotencyKey: 'k' });
    expect(outcome(await held().execute(pause))).toBe('idempotency-request-in-flight');
    // Its claim is written, its effect is not.
    const dying = at.another((inner) => ({ ...through(inner), append: (stream, ...rest) => (stream.startsWith('webhooksubscription-') ? Promise.reject(new Error('killed')) : inner.append(stream, ...rest)) }));
    await expect(dying.execute(pause)).rejects.toThrow('killed');
    expect(await codes('CommandClaimed')).toBe(2);
    expect(outcome(await held().execute(pause))).toBe('idempotency-request-in-flight');
    await at.pipeline.execute(pause);
    expect(outcome(await held().execute(pause))).toBe('APPLIED replayed');
    expect(await held().execute(create('create'))).toMatchObject({ replayed: true, secret: null });
    expect(outcome(await held().execute(commandOf('PauseWebhookSubscription', { webhookSubscriptionId: 'whs_2' }, { idempotencyKey: 'k' })))).toBe('idempotency-key-reused');
    expect(await codes('WebhookSubscriptionPaused')).toBe(1);
  });
});

describe('fifty requests with one key at once', () => {
  it('in one process: one effect, one answer with the secret, the others busy', async () => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => at.pipeline.execute(create('k'))));
    expect(answers.filter((answer) => !isRefusal(answer) && answer.secret !== null)).toHaveLength(1);
    expect(new Set(answers.map(outcome))).toEqual(new Set(['APPLIED', 'idempotency-request-in-flight']));
    expect(await codes('WebhookSubscriptionCreated')).toBe(1);
  });

  it('through two pipelines on one store: one effect, one answer with the secret', async () => {
    const other = at.another();
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => (index % 2 === 0 ? at.pipeline : other).execute(create('k'))));
    expect(answers.filter((answer) => !isRefusal(answer) && answer.secret !== null)).toHaveLength(1);
    expect(await codes('WebhookSubscriptionCreated')).toBe(1);
    expect(await codes('CommandExecuted')).toBe(1);
  });
});

describe('an append whose answer is lost', () => {
  /** Loses the first `times` answers of appends to the resource; `apply` says whether they were written. */
  const losing = (times: number, apply: boolean) => {
    let lost = 0;
    return (inner: EventStore): EventStore => ({
      ...through(inner),
      append: async (stream, expected, events) => {
        if (!stream.startsWith('webhooksubscription-') || lost >= times) return await inner.append(stream, expected, events);
        lost += 1;
        if (apply) await inner.append(stream, expected, events);
        throw new OutcomeUnknown('simulated');
      },
    });
  };

  it('is repeated as it was: one effect, and the secret is answered by the attempt that made it', async () => {
    const pipeline = at.another(losing(1, true));
    const answer = pipeline.execute(create('k'));
    await at.clock.advance(1_000);
    expect(await answer).toMatchObject({ outcome: 'APPLIED', replayed: false, secret: { reveal: expect.any(Function) as unknown } });
    expect(await codes('WebhookSubscriptionCreated')).toBe(1);
  });

  it('and never comes is 503 outcome-unknown at the deadline; a retry gets the true result', async () => {
    const lost = at.another(losing(1_000, true)).execute(create('k'));
    const never = at.another(losing(1_000, false)).execute(commandOf('UpsertWebhookSubscription', upsertOf('whs_2'), { idempotencyKey: 'never' }));
    await at.clock.advance(11_000);
    // It did arrive: what stands in the stream is the truth, and the secret is still this attempt's to answer.
    expect(await lost).toMatchObject({ outcome: 'APPLIED', replayed: false });
    expect(outcome(await never)).toBe('outcome-unknown');
    expect(outcome(await at.pipeline.execute(commandOf('UpsertWebhookSubscription', upsertOf('whs_2'), { idempotencyKey: 'never' })))).toBe('APPLIED');
  });

  it('and then no read either is 503 outcome-unknown, never a failure', async () => {
    let sent = false;
    const down = at.another((inner) => ({
      ...through(inner),
      append: async (stream, expected, events) => {
        sent ||= stream.startsWith('webhooksubscription-');
        if (sent) throw new OutcomeUnknown('simulated');
        return await inner.append(stream, expected, events);
      },
      readStream: (...args) => (sent ? Promise.reject(new StoreUnavailable('simulated')) : inner.readStream(...args)),
    }));
    const answer = down.execute(create('k'));
    await at.clock.advance(11_000);
    expect(outcome(await answer)).toBe('outcome-unknown');
  });

  it.each(['append', 'readStream'] as const)('and a store that hangs at %s for longer is answered within 10 s; a retry gets the true result', async (operation) => {
    const slowly = async <T>(work: () => Promise<T>): Promise<T> => {
      await sleep(at.clock, 12_000);
      return await work();
    };
    const slow = at.another((inner) => ({
      ...through(inner),
      append: (...args) => (operation === 'append' ? slowly(() => inner.append(...args)) : inner.append(...args)),
      readStream: (...args) => (operation === 'readStream' ? slowly(() => inner.readStream(...args)) : inner.readStream(...args)),
    }));
    const answer = slow.execute(create('k'));
    await at.clock.advance(10_000);
    expect(outcome(await answer)).toBe('outcome-unknown');
    await at.clock.advance(60_000);
    expect(outcome(await at.pipeline.execute(create('k')))).toMatch(/^APPLIED/);
    expect(await codes('WebhookSubscriptionCreated')).toBe(1);
  });

  it('is 503 outcome-unknown too where a revoke stands in the log and its fence does not; a retry fences', async () => {
    await at.pipeline.execute(create('create'));
    const expiresOn = new Date(at.clock.now() + 3_600_000).toISOString();
    const { resourceId: approvalId } = await at.must('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'whs_1', expiresOn });
    await at.must('GrantApproval', { approvalId }, { ...asKim, expectedRevision: 1 });
    const revoke = commandOf('RevokeApproval', { approvalId, reason: 'changed' }, { ...asKim, idempotencyKey: 'revoke' });
    expect(outcome(await at.another(losing(1_000, false)).execute(revoke))).toBe('outcome-unknown');
    expect(await codes('ApprovalFenced')).toBe(0);
    expect(outcome(await at.pipeline.execute(revoke))).toBe('APPLIED replayed');
    expect(await codes('ApprovalFenced')).toBe(1);
  });

  it('is not taken for a failure when the store refuses connections: 503 store-unavailable, nothing done, the key free', async () => {
    const down = at.another((inner) => ({ ...through(inner), append: () => Promise.reject(new StoreUnavailable('simulated')) })).execute(create('k'));
    await at.clock.advance(11_000);
    expect(outcome(await down)).toBe('store-unavailable');
    expect(outcome(await at.pipeline.execute(create('k', { status: 'PAUSED' })))).toBe('APPLIED');
  });

  it('is not a failure of reads either', async () => {
    const blind = at.another((inner) => ({ ...through(inner), readStream: () => Promise.reject(new StoreUnavailable('simulated')) }));
    expect(outcome(await blind.execute(create('k')))).toBe('store-unavailable');
  });
});

describe('a conflict with another process', () => {
  it('is decided anew on what stands now', async () => {
    await at.pipeline.execute(create('create'));
    let raced = false;
    const slow = at.another((inner) => ({
      ...through(inner),
      append: async (stream, expected, events) => {
        if (stream.startsWith('webhooksubscription-') && !raced) {
          raced = true;
          await at.must('PauseWebhookSubscription', whs);
        }
        return await inner.append(stream, expected, events);
      },
    }));
    expect(outcome(await slow.execute(commandOf('PauseWebhookSubscription', whs, { idempotencyKey: 'slow' })))).toBe('NO_CHANGE');
    expect(await codes('WebhookSubscriptionPaused')).toBe(1);
  });

  it('that never ends is 409 concurrent-modification', async () => {
    await at.pipeline.execute(create('create'));
    const busy = at.another((inner) => ({
      ...through(inner),
      append: async (stream, expected, events) => {
        if (stream.startsWith('webhooksubscription-')) await at.must((await codes('WebhookSubscriptionPaused')) > (await codes('WebhookSubscriptionResumed')) ? 'ResumeWebhookSubscription' : 'PauseWebhookSubscription', whs);
        return await inner.append(stream, expected, events);
      },
    }));
    expect(outcome(await busy.execute(commandOf('DeleteWebhookSubscription', whs, { idempotencyKey: 'k' })))).toBe('concurrent-modification');
  });
});

describe('a revision', () => {
  it('counts state-changing events; receipts, claims and consumptions don\'t move it', async () => {
    await at.pipeline.execute(create('create'));
    expect(await at.must('PauseWebhookSubscription', whs)).toMatchObject({ revision: 2 });
    expect(await at.must('PauseWebhookSubscription', whs)).toMatchObject({ revision: 2, outcome: 'NO_CHANGE' });
    expect(await at.must('ResumeWebhookSubscription', whs, { expectedRevision: 2 })).toMatchObject({ revision: 3 });
    expect(await at.refused('PauseWebhookSubscription', whs, { expectedRevision: 2 })).toBe('precondition-failed');
  });
});

describe('an id that the caller leaves out', () => {
  it('is derived from the key, so that an honest retry of a create meets itself', async () => {
    const { webhookSubscriptionId: _left, ...payload } = upsertOf('');
    const first = await at.must('UpsertWebhookSubscription', payload, { idempotencyKey: 'k' });
    expect(first.resourceId).toMatch(/^whs_[0-9a-z]{26}$/);
    expect(await at.must('UpsertWebhookSubscription', payload, { idempotencyKey: 'k' })).toMatchObject({ replayed: true, resourceId: first.resourceId });
  });
});

describe('CreateApiKey', () => {
  const payload: JsonObject = { name: 'ci', scopes: ['site:tnt_demo:write'], actor: { type: 'USER', id: 'usr_sam' } };
  it('shows the text of the key once and keeps its hash', async () => {
    const first = await at.must('CreateApiKey', payload, { idempotencyKey: 'k', caller: rootKey });
    expect(first.secret?.reveal()).toMatch(/^kf_/);
    expect(await at.must('CreateApiKey', payload, { idempotencyKey: 'k', caller: rootKey })).toMatchObject({ replayed: true, secret: null });
    expect(JSON.stringify(await at.events())).not.toContain(first.secret?.reveal());
  });
});

describe('PublishEvent', () => {
  const event = (more: Partial<EventToPublish> = {}): EventToPublish => ({ eventId: 'evt-1', type: 'version.published', dataText: '{"id":9007199254740993,"x":1.0}', occurredAt: null, ...more });
  const publisher = { site, actor: sam, correlationId: 'test' };

  it('is one append, and keeps the text byte for byte', async () => {
    const published = await publishEvent(at.world, publisher, event());
    expect(published).toMatchObject({ status: 'ACCEPTED', eventId: 'evt-1', position: '2', idempotent: true });
    expect((await at.events('EventPublished'))[0]?.data).toBe('{"id":9007199254740993,"x":1.0}');
  });

  it('is a duplicate with the same id and content, and refused with any other', async () => {
    await publishEvent(at.world, publisher, event());
    expect(await publishEvent(at.world, publisher, event())).toMatchObject({ status: 'DUPLICATE' });
    const others: Partial<EventToPublish>[] = [{ dataText: '{"id":9007199254740993,"x":1}' }, { type: 'version.deleted' }, { occurredAt: '2026-01-01T00:00:00Z' }];
    for (const other of others) expect(await publishEvent(at.world, publisher, event(other))).toMatchObject({ refused: 'idempotency-key-reused' });
    expect(await publishEvent(at.world, { ...publisher, actor: lee }, event())).toMatchObject({ refused: 'idempotency-key-reused' });
    expect(await codes('EventPublished')).toBe(1);
  });

  it('without an id is not idempotent, and says so', async () => {
    const [one, two] = [await publishEvent(at.world, publisher, event({ eventId: null })), await publishEvent(at.world, publisher, event({ eventId: null }))];
    expect([one, two]).toMatchObject([{ idempotent: false }, { idempotent: false }]);
    expect(await codes('EventPublished')).toBe(2);
  });

  it.each(['A capital', 'h_looks-hashed', 'x'.repeat(65), 'ünïcode?'.replace(/[^\x21-\x7e]/g, '-')])('takes the id %s, which is no stream name', async (eventId) => {
    expect(await publishEvent(at.world, publisher, event({ eventId }))).toMatchObject({ status: 'ACCEPTED', eventId });
    expect((await at.events('EventPublished'))[0]?.stream).toMatch(/^event-tnt_demo\.production\.(h_[0-9a-f]{32}|[a-z0-9_-]{1,64})$/);
    expect(await publishEvent(at.world, publisher, event({ eventId }))).toMatchObject({ status: 'DUPLICATE' });
  });

  it('whose answer is lost is still accepted once', async () => {
    const lost = { ...at.world, store: { ...through(at.store), append: async (...args: Parameters<EventStore['append']>) => {
      await at.store.append(...args);
      throw new OutcomeUnknown('simulated');
    } } };
    const published = publishEvent(lost, publisher, event());
    await at.clock.advance(11_000);
    expect(await published).toMatchObject({ status: 'ACCEPTED' });
    expect(await codes('EventPublished')).toBe(1);
  });

  it.each<[string, string, Partial<EventStore>]>([
    ['outcome-unknown', 'was sent', { append: () => Promise.reject(new OutcomeUnknown('simulated')), readStream: () => Promise.reject(new StoreUnavailable('simulated')) }],
    ['store-unavailable', 'was not sent', { append: () => Promise.reject(new StoreUnavailable('simulated')) }],
  ])('is refused with %s when it %s and the store is gone', async (code, _when, gone) => {
    const published = publishEvent({ ...at.world, store: { ...through(at.store), ...gone } }, publisher, event());
    await at.clock.advance(11_000);
    expect(await published).toMatchObject({ refused: code });
  });

  it('is refused with outcome-unknown within 10 s by a store that hangs for longer', async () => {
    const store = { ...through(at.store), append: () => new Promise<never>(() => undefined) };
    const published = publishEvent({ ...at.world, store }, publisher, event());
    await at.clock.advance(10_000);
    expect(await published).toMatchObject({ refused: 'outcome-unknown' });
  });

  it('is refused, and rejects nothing, when the store is gone before', async () => {
    const fingerprint = () => Promise.reject(new StoreUnavailable('simulated'));
    expect(await publishEvent({ ...at.world, vault: { ...at.vault, fingerprint } }, publisher, event())).toMatchObject({ refused: 'store-unavailable' });
  });
});
