import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseStream, type RecordedEvent } from '#kernel';
import { type AuditEvent, auditEvent, recordCategories, recordCategory, recordPrefixes } from './audit-event.ts';

const golden = new URL('../../test/golden/', import.meta.url);
const everything: readonly RecordedEvent[] = readdirSync(golden)
  .filter((name) => name.endsWith('.jsonl'))
  .flatMap((name) => readFileSync(new URL(name, golden), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as RecordedEvent));

const siteOf = (stream: string) => parseStream(stream)?.site ?? { tenant: '', environment: '' };
const ofRecord = everything.filter(({ stream }) => recordCategory(stream, siteOf(stream)) !== undefined);
const seen = (type: string): readonly AuditEvent[] => ofRecord.filter((event) => event.type === type).map(auditEvent);
const dataOf = (event: AuditEvent | undefined): unknown => JSON.parse(event?.dataText ?? 'null');

describe('a site’s record', () => {
  it('holds every category but those with secrets and those of the installation', () => {
    expect([...recordCategories].sort()).toEqual(['apikey', 'approval', 'approvalpolicy', 'command', 'event', 'probe', 'recovery', 'refusal', 'webhookdelivery', 'webhooksubscription']);
  });

  it('is reached by prefixes that cover no other site', () => {
    const site = { tenant: 'acme', environment: 'production' };
    const covers = (stream: string): boolean => recordPrefixes(site).some((prefix) => stream.startsWith(prefix));
    expect(covers('event-acme.production.e1')).toBe(true);
    for (const other of ['event-acme.production2.e1', 'event-acme2.production.e1', 'event-acme.staging.e1', 'signingsecret-acme.production.s1', 'fingerprintkey-acme.production.key']) expect([other, covers(other)]).toEqual([other, false]);
  });

  it('refuses to show an event of any other stream', () => {
    const others = everything.filter(({ stream }) => recordCategory(stream, siteOf(stream)) === undefined);
    expect(new Set(others.map(({ type }) => type)).size).toBeGreaterThan(5);
    for (const event of others) expect(() => auditEvent(event)).toThrow(/is not of a site's record/);
  });
});

describe('an event as auditors see it', () => {
  it('shows no secret and no plain hash of a key or an idempotency key, whatever type it has', () => {
    const hashes = everything.flatMap(({ data, metadata }) => [/"keySha256":"(\w+)"/.exec(data)?.[1] ?? [], metadata['idempotencykeyhash'] ?? []].flat());
    expect(hashes.length).toBeGreaterThan(10);
    expect(new Set(ofRecord.map(({ type }) => type)).size).toBeGreaterThan(30);
    for (const event of ofRecord) {
      const shown = JSON.stringify(auditEvent(event));
      expect(shown).not.toMatch(/whsec_|kf_[0-9a-z]{26}_/);
      for (const hash of hashes) if (shown.includes(hash)) throw new Error(`${event.type} at ${event.position} shows ${hash}`);
    }
  });

  it('says that something was withheld, and keeps the rest', () => {
    expect(dataOf(seen('ApiKeyCreated')[0])).toMatchObject({ name: expect.any(String), scopes: expect.any(Array), keySha256: '[withheld]' });
  });

  it('has the data of everything else byte for byte', () => {
    for (const event of ofRecord) if (event.type !== 'ApiKeyCreated') expect(auditEvent(event).dataText).toBe(event.data);
  });

  it('says who did it, by which command, when', () => {
    const [rotated] = seen('WebhookSubscriptionSecretRotated');
    expect(rotated).toMatchObject({ actor: { type: 'USER', id: 'usr_sam' }, onBehalfOf: [], commandType: 'RotateWebhookSubscriptionSecret', commandId: expect.any(String), recordedAt: expect.stringMatching(/Z$/), resourceId: 'orders', revision: 8 });
    const [first] = ofRecord;
    if (first === undefined) throw new Error('there is no event');
    expect(auditEvent({ ...first, metadata: { ...first.metadata, onbehalfof: 'USER:ann,AGENT:bot:7' } }).onBehalfOf).toEqual([{ type: 'USER', id: 'ann' }, { type: 'AGENT', id: 'bot:7' }]);
    expect(auditEvent({ ...first, metadata: { recordedat: '2026-01-01T00:00:00.000Z' } })).toMatchObject({ actor: null, commandId: null, commandType: null, correlationId: null, causationId: null });
  });

  it('names the resource as commands and answers do', () => {
    expect(seen('ApprovalPolicySet').map(({ resourceId }) => resourceId)).toContain('RotateWebhookSubscriptionSecret');
    const published = ofRecord.find(({ type }) => type === 'EventPublished');
    if (published === undefined) throw new Error('nothing was published');
    expect(auditEvent({ ...published, stream: `${published.stream.slice(0, published.stream.lastIndexOf('.'))}.h_00`, metadata: { ...published.metadata, publishedid: 'Order/7' } }).resourceId).toBe('Order/7');
  });

  it('names the approval in its own events, where it was used and where it was fenced', () => {
    for (const type of ['ApprovalRequested', 'ApprovalVoteCast', 'ApprovalConsumed', 'ApprovalFenced']) for (const event of seen(type)) expect([type, event.approvalId]).toEqual([type, expect.stringMatching(/^apr_/)]);
    expect(seen('WebhookSubscriptionSecretRotated')[0]?.approvalId).toMatch(/^apr_/);
    expect(seen('WebhookSubscriptionCreated')[0]?.approvalId).toBeNull();
  });
});
