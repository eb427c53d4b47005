import { describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import { versionAfter, type VersionSettings } from './version-after.ts';

const settings = { eventPattern: 'a.*', targetUrl: 'https://receiver.test/', deliveryMode: 'AT_LEAST_ONCE', description: null };
const before: VersionSettings = { incarnation: 'first', eventPattern: 'a.*', filter: 'data.x', status: 'ACTIVE', deliveryMode: 'AT_LEAST_ONCE' };
const event = (type: string, data: object = {}): RecordedEvent => ({ id: 'second', type, data: JSON.stringify(data), metadata: { recordedat: '2026-01-01T00:00:00.000Z' }, stream: 'webhooksubscription-t.production.whs_1', revision: 1, position: '2' });

describe('the version of a subscription after an event', () => {
  it.each<[string, RecordedEvent, VersionSettings | undefined]>([
    ['a creation', event('WebhookSubscriptionCreated', { ...settings, filter: 'data.y', status: 'PAUSED' }), { ...before, incarnation: 'second', filter: 'data.y', status: 'PAUSED' }],
    ['an update, which says all settings', event('WebhookSubscriptionUpdated', { ...settings, eventPattern: 'b', deliveryMode: 'ORDERED' }), { ...before, eventPattern: 'b', filter: null, deliveryMode: 'ORDERED' }],
    ['a pause', event('WebhookSubscriptionPaused', { reason: 'requested' }), { ...before, status: 'PAUSED' }],
    ['a resumption', event('WebhookSubscriptionResumed'), before],
    ['a deletion', event('WebhookSubscriptionDeleted', { purgeAt: '' }), { ...before, status: 'DELETED' }],
    ['a purge', event('WebhookSubscriptionPurged', { shreddedSecrets: [] }), undefined],
  ])('is told by %s', (_, change, after) => {
    expect(versionAfter(before, change)).toEqual(after);
  });

  it.each(['WebhookSubscriptionSecretRotated', 'CommandExecuted', 'ApprovalConsumed', 'ApprovalFenced'])('is the same after %s', (type) => {
    expect(versionAfter(before, event(type))).toBe(before);
  });

  it('is not told by a restoration, nor by a type that nobody knows', () => {
    for (const type of ['WebhookSubscriptionRestored', 'WebhookSubscriptionRenamed']) expect(versionAfter(before, event(type))).toBe('untold');
  });

  it('of one that is not known is told by its creation alone: an update may make it anybody’s', () => {
    expect(versionAfter(undefined, event('WebhookSubscriptionCreated', { ...settings, status: 'ACTIVE' }))).toMatchObject({ incarnation: 'second', filter: null });
    expect(versionAfter(undefined, event('WebhookSubscriptionUpdated', settings))).toBe('untold');
    for (const type of ['WebhookSubscriptionPaused', 'WebhookSubscriptionResumed', 'WebhookSubscriptionDeleted', 'WebhookSubscriptionPurged', 'CommandExecuted']) expect(versionAfter(undefined, event(type))).toBeUndefined();
  });

  it('can not be told from data that is no JSON', () => {
    expect(() => versionAfter(before, { ...event('WebhookSubscriptionUpdated'), data: '{' })).toThrow(SyntaxError);
  });
});
