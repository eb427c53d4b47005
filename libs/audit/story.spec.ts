import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseStream, type RecordedEvent } from '#kernel';
import { recordCategory } from './audit-event.ts';
import { maxStoryEntries, tellStory } from './story.ts';
import { secretSpans, signaturesOf, versionsOfRotation } from './story-signatures.ts';

const golden = new URL('../../test/golden/', import.meta.url);
const everything: readonly RecordedEvent[] = readdirSync(golden)
  .filter((name) => name.endsWith('.jsonl'))
  .flatMap((name) => readFileSync(new URL(name, golden), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as RecordedEvent))
  .filter(({ stream }) => recordCategory(stream, parseStream(stream)?.site ?? { tenant: '', environment: '' }) !== undefined)
  .map((event, index) => ({ ...event, position: String(index + 1) }));

const told = (...events: readonly RecordedEvent[]) => tellStory(events).entries;

describe('a story', () => {
  it('says every event in one plain sentence, without a secret', () => {
    for (const event of everything) {
      const [{ text, at, type } = { text: '', at: '', type: '' }] = told(event);
      expect([type, text]).toEqual([event.type, expect.stringMatching(/^[A-Z].*\.$/)]);
      expect(text).not.toMatch(/was recorded|undefined|\[object|whsec_|kf_/);
      expect(at).toMatch(/Z$/);
    }
  });

  it('tells what kind each is, and what it is about', () => {
    const kindOf = (type: string) => [...new Set(told(...everything.filter((event) => event.type === type)).map(({ kind }) => kind))];
    const kinds = { ApprovalRequested: 'REQUEST', ApprovalVoteCast: 'VOTE', ApprovalGranted: 'DECISION', ApprovalConsumed: 'DECISION', CommandClaimed: 'COMMAND', CommandExecuted: 'COMMAND', WebhookSubscriptionPaused: 'CHANGE', EventPublished: 'EVENT', WebhookDeliveryScheduled: 'DELIVERY', WebhookDeliverySucceeded: 'ATTEMPT', ApiKeyCreated: 'CHANGE' };
    expect(Object.fromEntries(Object.keys(kinds).map((type) => [type, kindOf(type)]))).toEqual(Object.fromEntries(Object.entries(kinds).map(([type, kind]) => [type, [kind]])));
    const [used] = told(...everything.filter(({ type, data }) => type === 'CommandExecuted' && data.includes('"approvalId":"apr_')));
    expect(used).toMatchObject({ commandId: expect.any(String), approvalId: expect.stringMatching(/^apr_/), deliveryId: null });
    const [attempt] = told(...everything.filter(({ type }) => type === 'WebhookDeliverySucceeded'));
    expect(attempt).toMatchObject({ deliveryId: expect.stringMatching(/^dlv_/), data: { attempt: 1 } });
    const [published] = told(...everything.filter(({ type }) => type === 'EventPublished'));
    expect(published?.data).toBeNull();
  });

  it('says who scheduled a delivery: the fan-out, or a recovery of what was missed', () => {
    const [scheduled] = everything.filter(({ type }) => type === 'WebhookDeliveryScheduled');
    if (scheduled === undefined) throw new Error('none is scheduled');
    const by = (actorid: string): string => told({ ...scheduled, metadata: { ...scheduled.metadata, actortype: 'SYSTEM', actorid } })[0]?.text ?? '';
    expect(by('fan-out')).toMatch(/^SYSTEM:fan-out scheduled delivery dlv_/);
    expect(by('recoveries')).toMatch(/^SYSTEM:recoveries scheduled delivery dlv_/);
  });

  it('is in the order of the log, each event once', () => {
    const some = everything.slice(0, 30);
    expect(told(...[...some].reverse(), ...some).map(({ position }) => position)).toEqual(some.map(({ position }) => position));
  });

  it('ends after a thousand entries, and says so', () => {
    const [one] = everything;
    if (one === undefined) throw new Error('there is no event');
    const many = Array.from({ length: maxStoryEntries + 1 }, (_, index) => ({ ...one, position: String(index + 1) }));
    expect([tellStory(many).entries.length, tellStory(many).truncated, tellStory(many.slice(1)).truncated]).toEqual([maxStoryEntries, true, false]);
  });
});

describe('the versions of a secret', () => {
  const start = Date.UTC(2026, 0, 1);
  const hourMs = 3_600_000;
  const at = (hours: number): string => new Date(start + hours * hourMs).toISOString();
  const secret = (versionId: string) => ({ versionId, kind: 'managed', fingerprint: 'f' });
  const event = (hours: number, type: string, data: object, commandid = `c${hours}`): RecordedEvent => ({ id: `e${hours}`, type: `WebhookSubscription${type}`, data: JSON.stringify(data), metadata: { recordedat: at(hours), commandid }, stream: 'webhooksubscription-t.production.s', revision: hours, position: String(hours + 1) });
  const created = event(0, 'Created', { eventPattern: '**', targetUrl: 'https://a.test', deliveryMode: 'AT_LEAST_ONCE', description: null, status: 'ACTIVE', secret: secret('v1') });
  const rotated = (hours: number, to: string, from: string | null, graceUntil: string, retired: readonly string[] = []) => event(hours, 'SecretRotated', { secret: secret(to), previous: from === null ? null : { versionId: from, graceUntil }, retired });
  const spans = (nowHours: number, ...events: readonly RecordedEvent[]) => secretSpans([created, ...events], start + nowHours * hourMs).map(({ secretVersionId, kind, from, until }) => [secretVersionId, kind, from, until]);

  it('sign from their rotation until the end of their grace window', () => {
    expect(spans(1)).toEqual([['v1', 'CURRENT', at(0), null]]);
    expect(spans(3, rotated(2, 'v2', 'v1', at(10)))).toEqual([['v1', 'GRACE', at(0), at(10)], ['v2', 'CURRENT', at(2), null]]);
    expect(spans(10, rotated(2, 'v2', 'v1', at(10)))[0]).toEqual(['v1', 'RETIRED', at(0), at(10)]);
  });

  it('end at once without grace, with a second rotation inside it, and with the purge', () => {
    expect(spans(3, rotated(2, 'v2', null, '', ['v1']))[0]).toEqual(['v1', 'RETIRED', at(0), at(2)]);
    expect(spans(5, rotated(2, 'v2', 'v1', at(10)), rotated(4, 'v3', 'v2', at(12), ['v1']))).toEqual([['v1', 'RETIRED', at(0), at(4)], ['v2', 'GRACE', at(2), at(12)], ['v3', 'CURRENT', at(4), null]]);
    expect(spans(9, rotated(2, 'v2', 'v1', at(3)), event(5, 'Deleted', { purgeAt: at(6) }), event(7, 'Purged', { shreddedSecrets: ['v1', 'v2'] }))).toEqual([['v1', 'RETIRED', at(0), at(3)], ['v2', 'RETIRED', at(2), at(7)]]);
  });

  it('of a rotation are the one it brought and those that had signed until then', () => {
    const stream = [created, rotated(2, 'v2', 'v1', at(10)), rotated(4, 'v3', 'v2', at(12), ['v1'])];
    expect([versionsOfRotation(stream, 'c2'), versionsOfRotation(stream, 'c4'), versionsOfRotation(stream, 'c0'), versionsOfRotation(stream, 'other')]).toEqual([['v1', 'v2'], ['v2', 'v1', 'v3'], [], []]);
  });

  it('say which deliveries they signed: all of them counted, the first hundred named', () => {
    const both = secretSpans([created, rotated(2, 'v2', 'v1', at(10))], start);
    const attempts = [{ deliveryId: 'd0', secretVersionIds: ['v1'] }, { deliveryId: 'd0', secretVersionIds: ['v2', 'v1'] }, ...Array.from({ length: 120 }, (_, n) => ({ deliveryId: `d${n + 1}`, secretVersionIds: ['v2'] }))];
    const [first, second] = signaturesOf(both, attempts);
    expect(first).toMatchObject({ secretVersionId: 'v1', attempts: 2, deliveries: 1, deliveryIds: ['d0'] });
    expect([second?.attempts, second?.deliveries, second?.deliveryIds.length]).toEqual([121, 121, 100]);
  });
});
