import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { refuse } from '#kernel';
import { untriedHealth } from '#read-models';
import { type Shell, startShell } from '../../../test/support/http-shell.ts';
import { readEvents } from './read-events.ts';

let shell: Shell;
beforeAll(async () => {
  shell = await startShell();
});
afterAll(() => shell.close());
const accept = (event: { readonly eventId: string | null }, index: number) => ({ status: 'ACCEPTED' as const, commandId: 'c', eventId: event.eventId ?? `evt_${index}`, position: String(index + 1), idempotent: event.eventId !== null });
beforeEach(() => {
  shell.published.length = 0;
  shell.answerPublish = accept;
});

const publish = (body: unknown, headers: Record<string, string> = {}) => shell.send('POST', '/api/events?siteId=acme', { headers, body });
const slugOf = (body: Readonly<Record<string, unknown>>): string => String(body['type']).replace('https://countersign.dev/problems/', '');

describe('one event', () => {
  it('is published with its data byte for byte, under its own id', async () => {
    const data = '{ "big": 9007199254740993, "one" : 1.0, "e": 1E400, "text":"\\u00e9 \\/ é\\ud83d" }';
    const { status, body } = await publish(`{"occurredAt":"2026-11-03T14:00:00+02:00", "data":${data} ,"type":"a.b","eventId":"e 1"}`.replace('e 1', 'e1'));
    expect([status, body]).toEqual([200, { items: [{ eventId: 'e1', status: 'ACCEPTED', position: '1', idempotent: true }] }]);
    expect(shell.published[0]?.event).toEqual({ eventId: 'e1', type: 'a.b', dataText: data, occurredAt: '2026-11-03T14:00:00+02:00' });
  });

  it('takes the idempotency key as its id', async () => {
    const { headers } = await publish({ type: 'a.b', data: null }, { 'idempotency-key': '"k1"' });
    expect(shell.published[0]?.event.eventId).toBe('k1');
    expect(headers['idempotency-key']).toBe('k1');
    expect((await publish({ type: 'a.b', data: null, eventId: 'k1' }, { 'idempotency-key': 'k1' })).status).toBe(200);
    expect((await publish({ type: 'a.b', data: null, eventId: 'k2' }, { 'idempotency-key': 'k1' })).body['errors']).toEqual([{ path: 'eventId', message: expect.stringContaining('Idempotency-Key') }]);
  });

  it('without an id is given one, and the answer says that the call was not idempotent', async () => {
    const { headers, body } = await publish({ type: 'a.b', data: 1 });
    expect(body).toEqual({ items: [{ eventId: 'evt_0', status: 'ACCEPTED', position: '1', idempotent: false }] });
    expect(headers['idempotency-key']).toBe('evt_0');
  });

  it('that was published before is a duplicate', async () => {
    shell.answerPublish = (event) => ({ ...accept(event, 4), status: 'DUPLICATE' });
    const { status, headers, body } = await publish({ type: 'a.b', data: 1, eventId: 'e1' });
    expect([status, headers['idempotency-replayed'], body['items']]).toEqual([200, 'true', [expect.objectContaining({ status: 'DUPLICATE', position: '5' })]]);
  });

  it.each([
    [{ type: 'A.b', data: 1 }, ['type']],
    [{ type: 'a.b' }, ['data']],
    [{ data: 1 }, ['type']],
    [{ type: 'a.b', data: 1, eventId: 'two words' }, ['eventId']],
    [{ type: 'a.b', data: 1, occurredAt: '2026-11-03' }, ['occurredAt']],
    [{ type: 'a.b', data: 1, Type: 'x' }, ['Type']],
    ['"x"', ['']],
    ['[]', ['']],
    ['{"type":"a.b","data":1,"data":2}', ['data']],
    ['{"type":"a.b","data":tru}', ['']],
  ])('%j is refused with 400', async (event, paths) => {
    const { status, body } = await publish(event);
    expect([status, (body['errors'] as { path: string }[]).map(({ path }) => path)]).toEqual([400, paths]);
    expect(shell.published).toHaveLength(0);
  });

  it('with more than 256 KiB of data is refused with 413; bytes count, not characters', async () => {
    const { status, body } = await publish({ type: 'a.b', data: 'é'.repeat(131_071) + 'x' });
    expect([status, slugOf(body), body['limitBytes']]).toEqual([413, 'payload-too-large', 262_144]);
    expect((await publish({ type: 'a.b', data: 'é'.repeat(131_071) })).status).toBe(200);
  });

  it('whose id means another event is refused with 422', async () => {
    shell.answerPublish = () => refuse('idempotency-key-reused', 'Another event has this id.');
    const { status, body } = await publish({ type: 'a.b', data: 1, eventId: 'e1' });
    expect([status, slugOf(body)]).toEqual([422, 'idempotency-key-reused']);
  });
});

describe('a list of events', () => {
  it('is accepted and refused one by one, in its order', async () => {
    shell.answerPublish = (event, index) => (event.eventId === 'taken' ? refuse('idempotency-key-reused', 'Another event has this id.') : accept(event, index));
    const { status, body } = await publish([
      { type: 'a.b', data: 1, eventId: 'e1' },
      { type: 'BAD', data: 1, eventId: 'e2' },
      { type: 'a.b', data: 1, eventId: 'taken' },
      'x',
      { type: 'a.b', data: 'x'.repeat(262_144), eventId: 'e3' },
      { type: 'a.b', data: 2 },
    ]);
    expect(status).toBe(200);
    const problem = (slug: string) => expect.objectContaining({ type: `https://countersign.dev/problems/${slug}`, status: expect.any(Number), detail: expect.any(String) });
    expect(body['items']).toEqual([
      { eventId: 'e1', status: 'ACCEPTED', position: '1', idempotent: true },
      { eventId: 'e2', status: 'REFUSED', position: null, problem: problem('validation-failed') },
      { eventId: 'taken', status: 'REFUSED', position: null, problem: problem('idempotency-key-reused') },
      { eventId: null, status: 'REFUSED', position: null, problem: problem('validation-failed') },
      { eventId: 'e3', status: 'REFUSED', position: null, problem: problem('payload-too-large') },
      { eventId: 'evt_2', status: 'ACCEPTED', position: '3', idempotent: false },
    ]);
  });

  it('has 1 to 1,000 of them', async () => {
    const many = (count: number) => Array.from({ length: count }, () => ({ type: 'a.b', data: 1 }));
    expect((await publish(many(1_000))).status).toBe(200);
    expect((await publish(many(1_001))).status).toBe(400);
    expect((await publish([])).status).toBe(400);
  });

  it('takes no idempotency key', async () => {
    expect((await publish([{ type: 'a.b', data: 1 }], { 'idempotency-key': 'k1' })).status).toBe(400);
    expect(shell.published).toHaveLength(0);
  });

  it('that is not JSON anywhere is refused as a whole', async () => {
    expect((await publish('[{"type":"a.b","data":1},{"type":"a.b","data":oops}]')).status).toBe(400);
    expect(shell.published).toHaveLength(0);
  });
});

describe('the data of an event', () => {
  it('is kept byte for byte, whatever it is and wherever it stands', () => {
    const event = fc.record({ data: fc.json({ maxDepth: 4 }), first: fc.boolean(), space: fc.stringMatching(/^[ \t\r\n]{0,4}$/) });
    const textOf = ({ data, first, space }: { data: string; first: boolean; space: string }): string => (first ? `{${space}"data"${space}:${data}${space},"type":"a.b"}` : `{"type":"a.b",${space}"d\\u0061ta":${space}${data}}${space}`);
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 5 }), (events) => {
        const offered = readEvents(`[${events.map(textOf).join(',')}]`);
        expect(offered.kind === 'list' && offered.items.map((item) => ('event' in item ? item.event.dataText : item.problem.detail))).toEqual(events.map(({ data }) => data));
      }),
    );
  });
});

describe('GET /api/events/{eventId}', () => {
  it('answers the data as it was published', async () => {
    const own = await startShell({
      reads: {
        apiKeyById: () => Promise.resolve(undefined),
        listApiKeys: () => Promise.resolve({ items: [], nextCursor: null }),
        listApprovals: () => Promise.resolve({ items: [], nextCursor: null }),
        listSubscriptions: () => Promise.resolve({ items: [], nextCursor: null }),
        listRecoveries: () => Promise.resolve({ items: [], nextCursor: null }),
        subscriptionHealth: () => Promise.resolve(untriedHealth),
        listDeliveries: () => Promise.resolve({ items: [], nextCursor: null }),
        delivery: () => Promise.resolve(undefined),
        transcripts: () => Promise.resolve([]),
        event: (_site, eventId) =>
          Promise.resolve({ eventId, type: 'a.b', tenant: 'acme', environment: 'production', dataText: '{"big":9007199254740993, "one":1.0}', occurredAt: null, recordedAtMs: 0, operational: false, position: '7', stream: 's' }),
      },
    });
    const { status, headers, text, body } = await own.send('GET', `/api/events/${encodeURIComponent('a/b?c%')}?siteId=acme`);
    await own.close();
    expect([status, headers['content-type']]).toEqual([200, 'application/json; charset=utf-8']);
    expect(text).toContain('"data":{"big":9007199254740993, "one":1.0}}');
    expect(body).toMatchObject({ eventId: 'a/b?c%', type: 'a.b', siteId: 'acme', recordedAt: '1970-01-01T00:00:00.000Z', position: '7', deliveries: [] });
  });
});
