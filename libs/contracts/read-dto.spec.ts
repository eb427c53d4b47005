import { describe, expect, it } from '@jest/globals';
import { validateSync } from 'class-validator';
import fc from 'fast-check';
import { deliveryModes as domainDeliveryModes } from '#subscriptions';
import { gateableCommands as domainGateableCommands } from '#approvals';
import { parseScope } from '#access';
import { CommandBody, commandPayloads, CreateApiKeyPayload, type Dto, deliveryModes, fieldsOf, gateableCommands, readDto, SetApprovalPolicyPayload, UpsertWebhookSubscriptionPayload } from './index.ts';
import { scope } from './kinds.ts';

const upsert = { eventPattern: 'version.*', targetUrl: 'https://example.com/in', signingSecretRef: 'managed', deliveryMode: 'ORDERED', status: 'ACTIVE' };
const errorsOf = (dto: Dto, json: unknown, at?: string) => {
  const read = readDto(dto, json, at);
  return 'errors' in read ? Object.fromEntries(read.errors.map(({ path, message }) => [path, message])) : {};
};

describe('reading a request', () => {
  it('gives an instance with exactly what was sent', () => {
    const read = readDto(UpsertWebhookSubscriptionPayload, upsert);
    expect(read).toEqual({ value: expect.objectContaining(upsert) });
    expect('value' in read && read.value).toBeInstanceOf(UpsertWebhookSubscriptionPayload);
  });

  it('says everything that is wrong at once, with its path and what would be right', () => {
    const errors = errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, deliveryMode: 'TWICE', targetUrl: 'example.com', status: undefined, eventPattern: 'a b' }, 'payload');
    expect(Object.keys(errors).sort()).toEqual(['payload.deliveryMode', 'payload.eventPattern', 'payload.status', 'payload.targetUrl']);
    expect(errors['payload.deliveryMode']).toBe('must be one of AT_LEAST_ONCE, ORDERED, BEST_EFFORT');
    expect(errors['payload.status']).toBe('is required; it must be one of ACTIVE, PAUSED');
    expect(errors['payload.targetUrl']).toContain('http or https');
    expect(errors['payload.eventPattern']).toContain('version.*,claim.**');
  });

  it('refuses an unknown field and names the nearest one', () => {
    expect(errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, target_url: 'x' })).toEqual({ target_url: 'is not a known field. Did you mean "targetUrl"?' });
    expect(errorsOf(UpsertWebhookSubscriptionPayload, JSON.parse(`{"__proto__": {"status": "ACTIVE"}}`))).toHaveProperty('__proto__');
  });

  it('refuses what is not an object', () => {
    for (const json of [null, [], 'x', 1]) expect(errorsOf(CommandBody, json, 'body')).toEqual({ body: 'must be a JSON object' });
  });

  it('goes into objects and lists', () => {
    const body = { tenant: 'Acme', actor: { type: 'ROBOT', id: 'x', onBehalfOf: [{ type: 'USER' }, 'sam'] }, payload: [] };
    expect(Object.keys(errorsOf(CommandBody, body)).sort()).toEqual(['actor.onBehalfOf[0].id', 'actor.onBehalfOf[1]', 'actor.type', 'payload', 'tenant']);
    expect(errorsOf(CommandBody, { ...body, actor: 'sam' })).toHaveProperty('actor', 'must be a JSON object');
    const actor = { type: 'USER', id: 'sam', onBehalfOf: [null, [{ type: 'USER', id: 'ann' }], { type: 'USER', id: 'ann' }] };
    expect(errorsOf(CommandBody, { ...body, tenant: 'acme', actor, payload: {} })).toEqual({ 'actor.onBehalfOf[0]': 'must be a JSON object', 'actor.onBehalfOf[1]': 'must be a JSON object' });
    expect(errorsOf(SetApprovalPolicyPayload, { commandType: 'PauseWebhookSubscription', required: true, approvers: [{ type: 'USER', id: 'a', name: 'x' }] })).toEqual({ 'approvers[0].name': expect.stringContaining('not a known field') });
  });

  it('refuses a list that is too long without looking into it, and tells some of a million unknown fields', () => {
    const many = (count: number): object[] => Array.from({ length: count }, () => ({ type: 'ROBOT' }));
    const body = { tenant: 'acme', actor: { type: 'USER', id: 'sam', onBehalfOf: many(33) }, payload: {} };
    expect(errorsOf(CommandBody, body)).toEqual({ 'actor.onBehalfOf': 'must be a list of at most 32 JSON objects' });
    expect(errorsOf(SetApprovalPolicyPayload, { commandType: 'PauseWebhookSubscription', required: true, approvers: many(101) })).toEqual({ approvers: 'must be a list of at most 100 JSON objects' });
    const unknown = Object.fromEntries(Array.from({ length: 1_000 }, (_, index) => [`unknown${index}`, 1]));
    expect(Object.keys(errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, ...unknown }))).toHaveLength(100);
  });

  it('says of every field what class-validator says of it', () => {
    const value = fc.constantFrom(undefined, null, true, 0, 1, 1.5, -1, '', 'acme', 'ACTIVE', 'ORDERED', 'version.*', 'https://example.com/', 'managed', '0s,5s', '2026-11-03T14:00:00Z', 'PauseWebhookSubscription', ['admin'], ['admin', 'admin'], [], {}, { a: 'b' }, { type: 'USER', id: 'sam' }, { type: 'ROBOT' });
    for (const dto of [CommandBody, ...Object.values<Dto>(commandPayloads)]) {
      const members = fc.dictionary(fc.constantFrom(...fieldsOf(dto).keys()), fc.oneof(value, fc.array(fc.constantFrom({ type: 'USER', id: 'sam' }, { type: 'ROBOT' }))), { noNullPrototype: true });
      fc.assert(
        fc.property(members, (json) => {
          const says = validateSync(Object.assign(new dto(), json), { stopAtFirstError: true, forbidUnknownValues: false }).flatMap(({ property, constraints = {}, value: found }) => Object.values(constraints).map((text) => [property, found === undefined ? `is required; it ${text}` : text]));
          const own = Object.entries(errorsOf(dto, json)).filter(([path]) => fieldsOf(dto).has(path));
          expect(own).toEqual(says);
        }),
      );
    }
  });

  it('takes null only where it says so', () => {
    expect(errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, description: null })).toEqual({});
    expect(errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, webhookSubscriptionId: null })).toHaveProperty('webhookSubscriptionId');
    expect(errorsOf(CommandBody, { tenant: 'a', actor: null, payload: {} })).toHaveProperty('actor', 'must be a JSON object');
  });

  it('never repeats a signing secret', () => {
    expect(JSON.stringify(errorsOf(UpsertWebhookSubscriptionPayload, { ...upsert, signingSecretRef: 'whsec_hunter2' }))).not.toContain('hunter2');
  });

  it('refuses a repeated scope', () => {
    expect(errorsOf(CreateApiKeyPayload, { name: 'k', scopes: ['admin', 'admin'], anyActor: true })).toHaveProperty('scopes');
  });
});

describe('the words of the contract', () => {
  it('are the words of the domain', () => {
    expect(deliveryModes).toEqual(domainDeliveryModes);
    expect(gateableCommands).toEqual(domainGateableCommands);
  });

  it('scopes have one grammar', () => {
    const part = fc.constantFrom('site', 'admin', ':', '.', '*', 'acme', 'A', 'staging', 'read', 'write', 'approve', 'audit', '');
    fc.assert(fc.property(fc.array(part, { maxLength: 7 }), (parts) => expect(scope.matches(parts.join(''))).toBe(parseScope(parts.join('')) !== undefined)), { numRuns: 2_000 });
    fc.assert(fc.property(fc.constantFrom('*', 'acme', 'acme.*', 'acme.staging', '*.x'), fc.constantFrom('read', 'own'), (site, right) => expect(scope.matches(`site:${site}:${right}`)).toBe(parseScope(`site:${site}:${right}`) !== undefined)));
  });

  it('every payload has documented fields', () => {
    for (const dto of Object.values(commandPayloads)) expect(fieldsOf(dto).size).toBeGreaterThan(0);
  });
});
