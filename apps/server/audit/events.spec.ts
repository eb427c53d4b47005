import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { TestLog } from '../../../test/support/log.ts';
import { type Sent, type Shell, startShell } from '../../../test/support/http-shell.ts';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';

let shell: Shell;
let log: TestLog;
let auditor: string;

beforeEach(async () => {
  log = new TestLog(simulatedClock());
  shell = await startShell({ logReader: log.store });
  auditor = shell.key(['site:acme:audit']);
});
afterEach(() => shell.close());

const get = (query: string, headers: Readonly<Record<string, string>> = {}): Promise<Sent> => shell.send('GET', `/api/audit/events?siteId=acme${query}`, { key: auditor, headers });
const items = ({ body }: Sent): readonly Record<string, unknown>[] => body['items'] as Record<string, unknown>[];

describe('GET /api/audit/events', () => {
  it('answers the events of the site in pages, and of no other site', async () => {
    for (const n of [1, 2, 3]) {
      await log.publish({ tenant: 'acme', environment: 'production' }, `e${n}`, 'a.b', { n });
      await log.publish({ tenant: 'acme', environment: 'staging' }, `s${n}`, 'a.b');
    }
    const first = await get('&limit=2');
    expect([first.status, first.headers['content-type'], items(first).map(({ resourceId }) => resourceId)]).toEqual([200, 'application/json; charset=utf-8', ['e1', 'e2']]);
    const second = await get(`&limit=2&cursor=${String(first.body['nextCursor'])}`);
    expect([items(second).map(({ resourceId, data }) => [resourceId, data]), second.body['nextCursor']]).toEqual([[['e3', { n: 3 }]], null]);
    expect(Object.keys(items(first)[0] ?? {}).sort()).toEqual(['actor', 'approvalId', 'causationId', 'commandId', 'commandType', 'correlationId', 'data', 'eventId', 'onBehalfOf', 'position', 'recordedAt', 'resourceId', 'revision', 'stream', 'type']);
  });

  it('keeps what a publisher sent byte for byte', async () => {
    await log.store.append('event-acme.production.e1', 'NO_STREAM', [{ id: '0f6a3f0b-7f0e-4d6b-9a55-3f1c9c1e8f5e', type: 'EventPublished', data: '{"big": 9007199254740993, "one":1.0}', metadata: { recordedat: '2026-11-21T12:00:00.000Z' } }]);
    expect((await get('')).text).toContain('"data":{"big": 9007199254740993, "one":1.0}');
  });

  it('takes filters, and says what is wrong with one', async () => {
    await log.appendWith('webhooksubscription-acme.production.orders', { actortype: 'USER', actorid: 'sam', commandtype: 'PauseWebhookSubscription' }, { type: 'WebhookSubscriptionPaused', data: {} });
    await log.publish({ tenant: 'acme', environment: 'production' }, 'e1', 'a.b');
    for (const [query, count] of [['actor=USER:Sam', 1], ['actor=USER:kim', 0], ['commandType=PauseWebhookSubscription', 1], ['resourceId=orders', 1], ['resourceId=e1', 1], ['approvalId=apr_1', 0], ['correlationId=corr-event-acme.production.e1', 1], ['since=2026-11-21T12:00:00Z', 2], ['since=2026-11-21T13:00:00%2B01:00', 2], ['since=2026-11-21T12:00:01Z', 0], ['until=2026-11-21T11:59:59Z', 0]] as const) {
      expect([query, items(await get(`&${query}`)).length]).toEqual([query, count]);
    }
    for (const [query, path] of [['since=yesterday', 'since'], ['until=2026-11-21', 'until'], ['actor=sam', 'actor'], ['cursor=abc', 'cursor'], ['from=1', 'from'], ['limit=501', 'limit'], ['who=me', 'who'], ['follow=yes', 'follow'], ['follow=true&until=2026-11-21T12:00:00Z', 'until'], ['follow=true&limit=2', 'limit'], ['follow=true&from=x', 'from']] as const) {
      const { status, body } = await get(`&${query}`);
      expect([query, status, (body['errors'] as { path: string }[])[0]?.path]).toEqual([query, 400, path]);
    }
    expect((await get('&follow=true&from=99')).body).toMatchObject({ status: 400, head: '2', type: expect.stringContaining('position-unknown') });
  });

  it('is for auditors of the site only', async () => {
    for (const [scopes, status] of [[['site:acme:audit'], 200], [['site:*:audit'], 200], [['site:acme:read', 'site:acme:write', 'site:acme:approve'], 403], [['site:acme.staging:audit'], 404], [['admin'], 404]] as const) {
      for (const follow of ['', '&follow=true&from=99']) {
        const answer = await shell.send('GET', `/api/audit/events?siteId=acme${follow}`, { key: shell.key(scopes) });
        expect([scopes, answer.status]).toEqual([scopes, status === 200 && follow !== '' ? 400 : status]);
      }
    }
  });
});

describe('GET /api/audit/events?follow=true', () => {
  /** Reads the stream until it has so many messages; time passes meanwhile. */
  async function read(url: string, count: number, headers: Readonly<Record<string, string>> = {}): Promise<{ readonly messages: readonly Record<string, string>[]; readonly end: () => void }> {
    const address = await listening();
    const leaving = new AbortController();
    const answer = await fetch(`${address}${url}`, { headers: { authorization: `Bearer ${auditor}`, ...headers }, signal: leaving.signal });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    const reader = (answer.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const complete = (): readonly string[] => text.split('\n\n').slice(0, -1).filter((block) => !block.startsWith(':'));
    while (complete().length < count) {
      const next = reader.read();
      let settled = false;
      void next.finally(() => (settled = true));
      while (!settled) await shell.clock.advance(250);
      const { value, done } = await next;
      if (done) break;
      text += value;
    }
    const messages = complete().map((block) => Object.fromEntries(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])));
    return { messages, end: () => leaving.abort() };
  }

  async function listening(): Promise<string> {
    const server = shell.app.getHttpServer() as { address(): { port: number } | null };
    if (server.address() === null) await shell.app.listen(0, '127.0.0.1');
    return `http://127.0.0.1:${server.address()?.port}`;
  }

  const site = { tenant: 'acme', environment: 'production' };

  it('goes on with what is recorded, filtered, in log order, from where it is told', async () => {
    await log.publish(site, 'e1', 'a.b');
    await log.publish({ tenant: 'other', environment: 'production' }, 'x', 'a.b');
    await log.publish(site, 'e2', 'a.b');
    const past = await read('/api/audit/events?siteId=acme&follow=true&from=0', 3);
    expect(past.messages.map(({ event, id }) => [event, id])).toEqual([['connected', '0'], ['event', '1'], ['event', '3']]);
    expect(JSON.parse(past.messages[1]?.['data'] ?? '')).toMatchObject({ position: '1', resourceId: 'e1', data: {} });
    past.end();
    const filtered = await read('/api/audit/events?siteId=acme&follow=true&from=0&resourceId=e2', 2);
    expect(filtered.messages.map(({ id }) => id)).toEqual(['0', '3']);
    filtered.end();
    const resumed = await read('/api/audit/events?siteId=acme&follow=true&from=0', 2, { 'last-event-id': '1' });
    expect(resumed.messages.map(({ id }) => id)).toEqual(['1', '3']);
    resumed.end();
  });

  it('begins at the end of the log without a position, and sees what comes', async () => {
    await log.publish(site, 'e1', 'a.b');
    const { messages, end } = await read('/api/audit/events?siteId=acme&follow=true', 1);
    expect(messages).toMatchObject([{ event: 'connected', id: '1', data: '{"siteId":"acme","position":"1"}' }]);
    end();
    const later = read(`/api/audit/events?siteId=acme&follow=true&from=${messages[0]?.['id']}`, 2);
    await log.publish(site, 'e2', 'a.b');
    expect((await later).messages[1]).toMatchObject({ event: 'event', id: '2' });
    (await later).end();
  });

  it('begins no earlier than since, without a look at what was before', async () => {
    await log.publish(site, 'e1', 'a.b');
    const { messages, end } = await read('/api/audit/events?siteId=acme&follow=true&from=0&since=2027-01-01T00:00:00Z', 1);
    expect(messages[0]?.['id']).toBe('1');
    end();
  });
});
