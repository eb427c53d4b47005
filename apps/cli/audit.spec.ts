import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, problem, startFakeApi, words } from '../../test/support/kf.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());
const table = { stdout: true } as const;
const urls = (): readonly string[] => api.requests.map(({ url }) => url);
/** What was asked for, by name. */
const asked = (index = -1): Readonly<Record<string, string>> => Object.fromEntries(new URL(api.requests.at(index)?.url ?? '', 'http://server').searchParams);

const recorded = (position: number, more: object = {}): object => ({
  position: String(position),
  stream: 'webhooksubscription-tnt_demo.production.whs_1',
  revision: 0,
  eventId: '11111111-1111-4111-8111-111111111111',
  type: 'WebhookSubscriptionCreated',
  recordedAt: '2026-11-02T09:00:00.000Z',
  actor: { type: 'USER', id: 'usr_sam' },
  onBehalfOf: [],
  commandId: 'cmd_1',
  commandType: 'UpsertWebhookSubscription',
  resourceId: 'whs_1',
  approvalId: null,
  correlationId: 'cor_1',
  causationId: null,
  data: { amount: 1 },
  ...more,
});
const page = (nextCursor: string | null, ...items: readonly object[]): { readonly body: object } => ({ body: { items, nextCursor } });

describe('kf audit log', () => {
  const route = 'GET /api/audit/events';
  const line = 'audit log --site tnt_demo';

  it('asks for what was wanted, times ago counted from now', async () => {
    api.answers(route, page(null));
    const flags = '--since 2h --until 2026-11-02T10:30:00+01:00 --actor USER:usr_sam --command-type CreateApiKey --resource-id Order/7 --approval-id apr_1 --correlation-id cor_1 --limit 20 --cursor c0';
    expect((await kf(words(`${line} ${flags}`), { server: api.url })).code).toBe(0);
    expect(asked()).toEqual({
      siteId: 'tnt_demo',
      since: '2026-11-02T08:00:00.000Z',
      until: '2026-11-02T10:30:00+01:00',
      actor: 'USER:usr_sam',
      commandType: 'CreateApiKey',
      resourceId: 'Order/7',
      approvalId: 'apr_1',
      correlationId: 'cor_1',
      limit: '20',
      cursor: 'c0',
    });
  });

  it('reads to the end, through short and empty pages, and prints one JSON document of what came', async () => {
    const exact = JSON.stringify(recorded(2)).replace('"amount":1', '"amount":1.0');
    api.answers(route, page('c1'), page('c2', recorded(1)), { text: `{"items":[${exact},${JSON.stringify(recorded(3))}],"nextCursor":"c3"}` }, page('c4'), page(null, recorded(4)));
    const { code, out, err } = await kf(words(line), { server: api.url });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(`{"items":[${JSON.stringify(recorded(1))},${exact},${JSON.stringify(recorded(3))},${JSON.stringify(recorded(4))}],"nextCursor":null}\n`);
    expect(api.requests.map((_, index) => [asked(index)['cursor'], asked(index)['limit']])).toEqual([[undefined, '500'], ['c1', '500'], ['c2', '500'], ['c3', '500'], ['c4', '500']]);
  });

  it('is one document also when nothing is found on many pages', async () => {
    api.answers(route, page('c1'), page(null));
    expect((await kf(words(line), { server: api.url })).out).toBe('{"items":[],"nextCursor":null}\n');
  });

  it('prints a single answer as it came', async () => {
    const text = `{ "items": [${JSON.stringify(recorded(1))}], "nextCursor": null }`;
    api.answers(route, { text });
    expect((await kf(words(line), { server: api.url })).out).toBe(`${text}\n`);
  });

  it('stops at --limit, over as many pages as that takes, and says where it goes on', async () => {
    api.answers(route, page('c1', recorded(1)), page('c2', recorded(2), recorded(3)));
    const { out, err } = await kf(words(`${line} --limit 3`), { server: api.url });
    expect(JSON.parse(out)).toMatchObject({ items: [{ position: '1' }, { position: '2' }, { position: '3' }], nextCursor: 'c2' });
    expect(err).toBe('There are more: --cursor c2\n');
    expect([asked(0)['limit'], asked(1)['limit']]).toEqual(['3', '2']);
  });

  it('prints page by page, so that what was read is there when the rest fails, and says where the rest begins', async () => {
    api.answers(route, page('c1', recorded(1)), page('c2', recorded(2)), problem('store-unavailable', 503));
    const { code, out, err } = await kf(words(`${line} --output jsonl`), { server: api.url });
    expect(code).toBe(1);
    expect(out.trimEnd().split('\n').map((item) => (JSON.parse(item) as { position: string }).position)).toEqual(['1', '2']);
    expect(err).toContain('--cursor c2');
    expect(err).toContain('store-unavailable');
  });

  it('does not go round in a circle', async () => {
    api.answers(route, page('c1'), page('c1'));
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('same cursor') });
  });

  it('shows when, who and for whom, what, on which resource and by which command; headings once, local times', async () => {
    api.answers(route, page('c1', recorded(1)), page(null, recorded(2, { actor: { type: 'AGENT', id: 'bot' }, onBehalfOf: [{ type: 'USER', id: 'usr_sam' }], commandId: null })));
    const { out } = await kf(words(line), { server: api.url, tty: table });
    const [head, first, second, ...rest] = out.trimEnd().split('\n');
    expect(rest).toEqual([]);
    expect(head).toMatch(/^POSITION +TIME +WHO +EVENT +RESOURCE +COMMAND$/);
    expect(first).toMatch(/^1 +2026-11-02 10:00:00 \+01:00 +USER:usr_sam +WebhookSubscriptionCreated +whs_1 +cmd_1$/);
    expect(second).toMatch(/^2 .* AGENT:bot for USER:usr_sam +WebhookSubscriptionCreated +whs_1 +-$/);
    expect(first?.indexOf('WebhookSubscriptionCreated')).toBe(head?.indexOf('EVENT'));
  });

  it('says in a table that there is nothing; prints positions alone with --quiet', async () => {
    api.answers(route, page(null), page('c1', recorded(1)), page(null, recorded(7)));
    expect(await kf(words(line), { server: api.url, tty: table })).toEqual({ code: 0, out: '', err: 'There are none.\n' });
    expect(await kf(words(`${line} --quiet`), { server: api.url })).toEqual({ code: 0, out: '1\n7\n', err: '' });
  });

  it.each([
    ['--since yesterday', '--since: expected RFC 3339 with an offset'],
    ['--since +2h', '--since: expected'],
    ['--until 2026-11-02T10:00:00', '--until: expected'],
    ['--actor sam', '--actor: expected TYPE:ID'],
    ['--command-type rotate', '--command-type: expected'],
    ['--approval-id APR', '--approval-id: expected'],
    ['--limit 0', '--limit: expected a whole number, at least 1'],
    ['--from 01 --follow', '--from: expected a position'],
    ['--from 5', '--from goes with --follow only'],
    ['--follow --until -1h', '--until does not go with --follow'],
    ['--follow --limit 5', '--limit does not go with --follow'],
    ['--follow --cursor c1', '--cursor does not go with --follow'],
  ])('refuses %s with exit code 2 and sends nothing', async (flags, message) => {
    const { code, out, err } = await kf(words(`${line} ${flags}`), { server: api.url });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(0);
  });

  it('says which scope is missing', async () => {
    api.answers(route, problem('forbidden', 403, { detail: 'This needs the scope site:tnt_demo:audit.' }));
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, out: '', err: expect.stringContaining('site:tnt_demo:audit') });
  });
});

describe('kf audit log: which site', () => {
  it('is the one of the API key when none is given, and an error that sends nothing else when there is not exactly one', async () => {
    api.answers('GET /api/whoami', { body: { siteId: 'tnt_demo.staging' } }, { body: { siteId: null } });
    api.answers('GET /api/audit/events', page(null));
    expect((await kf(words('audit log'), { server: api.url })).code).toBe(0);
    expect(asked()['siteId']).toBe('tnt_demo.staging');
    const none = await kf(words('audit log'), { server: api.url });
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('--site <siteId> is required') });
    expect(urls().at(-1)).toBe('/api/whoami');
  });
});

const story = {
  id: 'cmd_1',
  kind: 'COMMAND',
  entries: [
    { position: '5', at: '2026-11-02T09:00:00.000Z', kind: 'REQUEST', type: 'ApprovalRequested', actor: { type: 'USER', id: 'usr_sam' }, text: 'asked for approval apr_1 to rotate the secret of whs_1', resourceId: 'apr_1', commandId: 'cmd_0', approvalId: 'apr_1', deliveryId: null, data: {} },
    { position: '6', at: '2026-11-02T09:05:00.000Z', kind: 'VOTE', type: 'ApprovalVoteCast', actor: { type: 'USER', id: 'usr_kim' }, text: 'granted it', resourceId: 'apr_1', commandId: null, approvalId: 'apr_1', deliveryId: null, data: {} },
    { position: '9', at: '2026-11-02T09:06:00.000Z', kind: 'ATTEMPT', type: 'WebhookDeliverySucceeded', actor: null, text: 'attempt 1 was answered 200\u001b[2J', resourceId: 'dlv_1', commandId: null, approvalId: null, deliveryId: 'dlv_1', data: {} },
  ],
  signatures: [
    { secretVersionId: 'sv_1', kind: 'MANAGED', from: '2026-11-01T09:00:00.000Z', until: '2026-11-03T09:06:00.000Z', attempts: 1, deliveries: 1, deliveryIds: ['dlv_1'] },
    { secretVersionId: 'sv_2', kind: 'MANAGED', from: '2026-11-02T09:06:00.000Z', until: null, attempts: 130, deliveries: 102, deliveryIds: ['dlv_1', 'dlv_2'] },
  ],
  truncated: false,
};

describe('kf audit show', () => {
  const route = 'GET /api/audit/stories/cmd_1';

  it('tells who did what and when, in the order of the log, and which deliveries were signed with which version', async () => {
    api.answers(route, { body: story });
    const { code, out, err } = await kf(words('audit show cmd_1 --site tnt_demo'), { server: api.url, tty: table });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(urls()).toEqual(['/api/audit/stories/cmd_1?siteId=tnt_demo']);
    expect(out.split('\n').map((text) => text.replace(/ {2,}/g, '  '))).toEqual([
      'COMMAND cmd_1',
      '',
      'TIME  WHO  WHAT [IDS]',
      '2026-11-02 10:00:00 +01:00  USER:usr_sam  asked for approval apr_1 to rotate the secret of whs_1 [cmd_0]',
      '2026-11-02 10:05:00 +01:00  USER:usr_kim  granted it [apr_1]',
      '2026-11-02 10:06:00 +01:00  -  attempt 1 was answered 200\\u{1b}[2J [dlv_1]',
      '',
      'Secret version sv_1 (MANAGED), from 2026-11-01 10:00:00 +01:00 until 2026-11-03 10:06:00 +01:00, signed 1 attempt of 1 delivery',
      '  dlv_1',
      '',
      'Secret version sv_2 (MANAGED), from 2026-11-02 10:06:00 +01:00, signed 130 attempts of 102 deliveries',
      '  dlv_1',
      '  dlv_2',
      '  and 100 more',
      '',
    ]);
  });

  it('prints the answer as it came as JSON, the positions of the entries with --quiet', async () => {
    const text = JSON.stringify(story).replace('"data":{}', '"data":{"n":1.0}');
    api.answers(route, { text }, { text });
    expect((await kf(words('audit show cmd_1 --site tnt_demo'), { server: api.url })).out).toBe(`${text}\n`);
    expect((await kf(words('audit show cmd_1 --site tnt_demo --quiet'), { server: api.url })).out).toBe('5\n6\n9\n');
  });

  it('says when the story is longer than one answer', async () => {
    api.answers(route, { body: { ...story, truncated: true } });
    expect((await kf(words('audit show cmd_1 --site tnt_demo'), { server: api.url, tty: table })).err).toContain('kf audit log --resource-id');
  });

  it('takes any id that an event can have, and says when there is no such thing', async () => {
    const { code, err } = await kf(['audit', 'show', 'Order/7?#', '--site', 'tnt_demo'], { server: api.url });
    expect({ code, said: err.includes('not-found') }).toEqual({ code: 1, said: true });
    expect(urls()).toEqual(['/api/audit/stories/Order%2F7%3F%23?siteId=tnt_demo']);
  });

  it('needs an id', async () => {
    expect(await kf(words('audit show --site tnt_demo'), { server: api.url })).toMatchObject({ code: 2, out: '' });
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf audit state', () => {
  const route = 'GET /api/audit/states/whs_1';
  const line = 'audit state whs_1 --site tnt_demo --as-of';
  const then = { resourceId: 'whs_1', kind: 'SUBSCRIPTION', asOf: 'revision:2', revision: 2, position: '17', at: '2026-11-02T09:00:00.000Z', state: { status: 'PAUSED', events: ['version.*', 'claim.**'], secret: { kind: 'MANAGED', versionId: 'sv_1' } } };

  it.each(['revision:2', 'position:17', 'time:2026-11-02T10:00:00+01:00'])('asks as of %s', async (asOf) => {
    api.answers(route, { body: then });
    expect((await kf([...words(line), asOf], { server: api.url })).code).toBe(0);
    expect(asked()).toEqual({ siteId: 'tnt_demo', asOf });
  });

  it('shows the resource and its state then, as a sheet, as JSON and its revision alone', async () => {
    api.answers(route, { body: then }, { body: then }, { body: then });
    const { out } = await kf(words(`${line} revision:2`), { server: api.url, tty: table });
    expect(out).toMatch(/^Resource id +whs_1\n(.*\n)*At +2026-11-02 10:00:00 \+01:00\n\nStatus +PAUSED\nEvents +version\.\*, claim\.\*\*\nSecret kind +MANAGED\nSecret version id +sv_1\n$/);
    expect(JSON.parse((await kf(words(`${line} revision:2`), { server: api.url })).out)).toEqual(then);
    expect((await kf(words(`${line} revision:2 --quiet`), { server: api.url })).out).toBe('2\n');
  });

  it('says that it did not exist then', async () => {
    api.answers(route, { body: { ...then, revision: null, position: null, at: null, state: null } });
    expect(await kf(words(`${line} position:1`), { server: api.url, tty: table })).toMatchObject({ code: 0, err: 'It did not exist then, or not any more.\n' });
  });

  it.each(['yesterday', 'revision:-1', 'revision:', 'revision:1.5', 'position:007', 'position:x', 'time:2026-11-02', 'time:2026-11-02T10:00:00', 'Time:2026-11-02T10:00:00Z', '17', ':'])('refuses --as-of %s with exit code 2 and sends nothing', async (asOf) => {
    const { code, out, err } = await kf([...words(line), asOf], { server: api.url });
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('--as-of: expected time:<RFC 3339 with an offset>, position:<position> or revision:<whole number>');
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf audit explain', () => {
  const route = 'GET /api/audit/explanations';
  const line = 'audit explain --site tnt_demo --event-id Order/7 --webhook-subscription-id whs_1';
  const paused = {
    eventId: 'Order/7',
    webhookSubscriptionId: 'whs_1',
    code: 'paused',
    delivered: false,
    sentence: 'It was not delivered: USER:usr_sam had paused the subscription at position 12 (2026-11-02T08:00:00.000Z).',
    event: { type: 'version.published', position: '20', recordedAt: '2026-11-02T09:00:00.000Z' },
    subscription: { status: 'PAUSED', eventPattern: 'version.*', revision: 2 },
    because: { type: 'WebhookSubscriptionPaused', position: '12', at: '2026-11-02T08:00:00.000Z', actor: { type: 'USER', id: 'usr_sam' }, commandId: 'cmd_1' },
    now: { status: 'ACTIVE', eventPattern: 'claim.**' },
    delivery: null,
    attempts: [],
    notes: ['Recover it: kf webhook recover whs_1 --since 2026-11-02T09:00:00.000Z'],
  };

  it('says it in one sentence, then what that rests on', async () => {
    api.answers(route, { body: paused });
    const { code, out } = await kf(words(line), { server: api.url, tty: table });
    expect(code).toBe(0);
    expect(asked()).toEqual({ siteId: 'tnt_demo', eventId: 'Order/7', webhookSubscriptionId: 'whs_1' });
    const [sentence, evidence, notes, ...rest] = out.trimEnd().split('\n\n');
    expect(sentence).toBe('It was not delivered: USER:usr_sam had paused the subscription at position 12 (2026-11-02 09:00:00 +01:00).');
    expect(evidence?.split('\n').map((text) => text.replace(/ {2,}/g, '  '))).toEqual([
      'Event type  version.published',
      'Event position  20',
      'Event recorded at  2026-11-02 10:00:00 +01:00',
      'Subscription then status  PAUSED',
      'Subscription then event pattern  version.*',
      'Subscription then revision  2',
      'Put there by type  WebhookSubscriptionPaused',
      'Put there by position  12',
      'Put there by at  2026-11-02 09:00:00 +01:00',
      'Put there by actor  USER:usr_sam',
      'Put there by command id  cmd_1',
      'Subscription now status  ACTIVE',
      'Subscription now event pattern  claim.**',
      'Delivery  -',
    ]);
    expect([notes, rest]).toEqual([paused.notes[0], []]);
  });

  it('lists the attempts', async () => {
    const attempts = [{ attempt: 1, startedAt: '2026-11-02T09:00:00.000Z', status: 500, error: null, decision: 'SCHEDULED' }, { attempt: 2, startedAt: '2026-11-02T09:01:00.000Z', status: null, error: 'timeout', decision: 'DEAD_LETTERED' }];
    api.answers(route, { body: { ...paused, code: 'dead-lettered', attempts, notes: [] } });
    const { out } = await kf(words(line), { server: api.url, tty: table });
    expect(out).toMatch(/\n\nATTEMPT +STARTED +STATUS +ERROR +DECISION\n1 +2026-11-02 10:00:00 \+01:00 +500 +- +SCHEDULED\n2 +2026-11-02 10:01:00 \+01:00 +- +timeout +DEAD_LETTERED\n$/);
  });

  it('prints the answer as it came as JSON, and the case alone with --quiet', async () => {
    api.answers(route, { body: paused }, { body: paused });
    expect((await kf(words(line), { server: api.url })).out).toBe(`${JSON.stringify(paused)}\n`);
    expect((await kf(words(`${line} --quiet`), { server: api.url })).out).toBe('paused\n');
  });

  it('needs both ids', async () => {
    const { code, err } = await kf(words('audit explain --site tnt_demo'), { server: api.url });
    expect(code).toBe(2);
    for (const flag of ['--event-id', '--webhook-subscription-id']) expect(err).toContain(`${flag} <id> is required`);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf audit refusals', () => {
  const route = 'GET /api/audit/refusals';
  const refused = (position: number, more: object = {}): object => ({ position: String(position), at: '2026-11-02T09:00:00.000Z', actor: { type: 'USER', id: 'usr_sam' }, keyId: 'key_1', commandType: 'GrantApproval', resourceId: 'apr_1', code: 'approver-conflict', detail: 'Who asked may not vote.', correlationId: 'cor_1', suppressed: 0, ...more });

  it('lists who was refused what and why, and how often more, to the end', async () => {
    api.answers(route, page('c1', refused(9, { suppressed: 4 })), page(null, refused(3)));
    const { code, out } = await kf(words('audit refusals --site tnt_demo --since 7d --until -1d --actor USER:usr_sam'), { server: api.url, tty: table });
    expect(code).toBe(0);
    expect(asked(0)).toEqual({ siteId: 'tnt_demo', since: '2026-10-26T10:00:00.000Z', until: '2026-11-01T10:00:00.000Z', actor: 'USER:usr_sam', limit: '500' });
    expect(out).toMatch(/^POSITION +TIME +WHO +COMMAND +RESOURCE +REFUSED +WHY\n9 +2026-11-02 10:00:00 \+01:00 +USER:usr_sam +GrantApproval +apr_1 +approver-conflict +Who asked may not vote\. \(4 more of this key came before it\)\n3 .*Who asked may not vote\.\n$/);
  });

  it('takes --limit and --cursor, and prints positions alone with --quiet', async () => {
    api.answers(route, page('c2', refused(9), refused(8)));
    expect((await kf(words('audit refusals --site tnt_demo --limit 2 --cursor c1 --quiet'), { server: api.url })).out).toBe('9\n8\n');
    expect(asked()).toEqual({ siteId: 'tnt_demo', limit: '2', cursor: 'c1' });
  });
});

/** Messages of an event stream, which then ends. */
const streamed = (...messages: readonly (readonly [event: string, data: object, id?: string])[]): { readonly text: string; readonly headers: Readonly<Record<string, string>> } => ({
  headers: { 'content-type': 'text/event-stream' },
  text: messages.map(([event, data, id]) => `: keep-alive\n\nevent: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`).join(''),
});

describe('kf audit log --follow', () => {
  const route = 'GET /api/audit/events';
  const connected = (position: string): readonly [string, object] => ['connected', { siteId: 'tnt_demo', position, events: '**' }];
  const event = (position: number): readonly [string, object, string] => ['event', recorded(position), String(position)];

  /** Follows until so much stands on stdout, then interrupts. */
  async function followed(line: string, lines: number, options: object = {}): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
    const interrupt = new AbortController();
    let seen = 0;
    return kf(words(line), { server: api.url, signal: interrupt.signal, onOut: (text) => (seen += text.split('\n').length - 1) >= lines && interrupt.abort(new Error('interrupted')), ...options });
  }
  const positions = (out: string): readonly string[] => out.trimEnd().split('\n').map((line) => (JSON.parse(line) as { position: string }).position);

  it('begins with the past from --since on, and goes on with what comes', async () => {
    api.answers(route, streamed(connected('0'), event(3), event(5)));
    const { code, out, err } = await followed('audit log --site tnt_demo --since 1h --actor USER:usr_sam --follow', 2);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(positions(out)).toEqual(['3', '5']);
    expect(asked(0)).toEqual({ siteId: 'tnt_demo', since: '2026-11-02T09:00:00.000Z', actor: 'USER:usr_sam', follow: 'true', from: '0' });
  });

  it('begins after --from, with --since also, and at the head without either', async () => {
    api.answers(route, streamed(connected('7'), event(8)), streamed(connected('7'), event(8)), streamed(connected('7'), event(8)));
    await followed('audit log --site tnt_demo --follow --from 7', 1);
    await followed('audit log --site tnt_demo --follow --from 7 --since 1h', 1);
    await followed('audit log --site tnt_demo --follow', 1);
    expect(api.requests.map((_, index) => asked(index)['from'])).toEqual(['7', '7', undefined]);
  });

  it('goes on after the last position when the connection ends, breaks or is refused for a moment: nothing twice, nothing left out', async () => {
    api.answers(route, streamed(connected('0'), event(3), event(10)), { drops: true }, problem('store-unavailable', 503), streamed(connected('10'), event(10), event(11)), streamed(connected('11'), event(9), event(12)));
    const { code, out, err } = await followed('audit log --site tnt_demo --follow --from 0', 4);
    expect(code).toBe(0);
    expect(positions(out)).toEqual(['3', '10', '11', '12']);
    expect(api.requests.map((_, index) => asked(index)['from'])).toEqual(['0', '10', '10', '10', '11']);
    expect(err).toContain('The connection was lost: the server ended it. Going on after position 10.');
  });

  it('remembers where it began when the connection is lost before anything came', async () => {
    api.answers(route, streamed(connected('41')), streamed(connected('50'), event(42)));
    await followed('audit log --site tnt_demo --follow', 1);
    expect(api.requests.map((_, index) => asked(index)['from'])).toEqual([undefined, '41']);
  });

  it('ends with an error when it is refused: at once, or later because the key was revoked', async () => {
    api.answers(route, problem('forbidden', 403, { detail: 'This needs the scope site:tnt_demo:audit.' }), streamed(connected('0'), event(1)), problem('unauthenticated', 401));
    expect(await kf(words('audit log --site tnt_demo --follow'), { server: api.url })).toMatchObject({ code: 1, out: '', err: expect.stringContaining('site:tnt_demo:audit') });
    const revoked = await kf(words('audit log --site tnt_demo --follow --from 0'), { server: api.url });
    expect({ ...revoked, out: positions(revoked.out) }).toMatchObject({ code: 1, out: ['1'], err: expect.stringContaining('unauthenticated') });
  });

  it('does not wait for a server that is not there, and does not take something else for one', async () => {
    api.answers(route, { drops: true }, { text: '<html>', headers: { 'content-type': 'text/html' } });
    expect((await kf(words('audit log --site tnt_demo --follow'), { server: api.url })).code).toBe(1);
    expect(await kf(words('audit log --site tnt_demo --follow'), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('no event stream') });
  });

  it('prints a table with headings once, and positions alone with --quiet', async () => {
    api.answers(route, streamed(connected('0'), event(3), event(5)), streamed(connected('0'), event(3), event(5)));
    const { out } = await followed('audit log --site tnt_demo --follow --from 0', 3, { tty: table });
    expect(out).toMatch(/^POSITION .*\n3 +2026-11-02 10:00:00 \+01:00 .*\n5 .*\n$/);
    expect((await followed('audit log --site tnt_demo --follow --from 0 --quiet', 2)).out).toBe('3\n5\n');
  });
});

describe('kf audit replay', () => {
  const route = 'GET /api/audit/replay';
  const line = 'audit replay --site tnt_demo';
  const halfway = { position: '500', head: '1000', events: 1_234 };
  const result = { position: '1000', events: 2_468, digest: 'sha256:aa', livePosition: '1000', liveDigest: 'sha256:aa', equal: true };
  const answers = (more: object = {}): ReturnType<typeof streamed> => streamed(['progress', halfway], ['result', { ...result, ...more }]);

  it('prints position, events and both digests, and exits 0 when they are equal', async () => {
    api.answers(route, answers());
    const { code, out, err } = await kf(words(line), { server: api.url, tty: table });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(asked()).toEqual({ siteId: 'tnt_demo' });
    expect(out).toMatch(/^Replayed to position +1000\nEvents +2468\nDigest +sha256:aa\nLive at position +1000\nLive digest +sha256:aa\n\nThe digests are equal: .*\n$/);
  });

  it('exits 1 when they differ, and still prints both', async () => {
    api.answers(route, answers({ liveDigest: 'sha256:bb', equal: false }));
    const { code, out, err } = await kf(words(line), { server: api.url, tty: table });
    expect(code).toBe(1);
    expect(out).toContain('sha256:bb');
    expect(err).toContain('the digests differ');
  });

  it('exits 0 when --to ends it where the live digest is not', async () => {
    api.answers(route, answers({ equal: null }));
    const { code, out } = await kf(words(`${line} --to 600`), { server: api.url, tty: table });
    expect({ code, to: asked()['to'] }).toEqual({ code: 0, to: '600' });
    expect(out).toContain("can't be compared");
  });

  it('prints every message as one JSON object a line, as it came', async () => {
    const text = answers().text.replace('"events":1234', '"events":1234.0');
    api.answers(route, { ...answers(), text }, answers());
    expect((await kf(words(line), { server: api.url })).out).toBe(`${JSON.stringify(halfway).replace('1234', '1234.0')}\n${JSON.stringify(result)}\n`);
    expect((await kf(words(`${line} --output jsonl`), { server: api.url })).out).toBe(`${JSON.stringify(halfway)}\n${JSON.stringify(result)}\n`);
  });

  it('prints the digest alone with --quiet', async () => {
    api.answers(route, answers());
    expect(await kf(words(`${line} --quiet`), { server: api.url, tty: { stdout: true, stderr: true } })).toEqual({ code: 0, out: 'sha256:aa\n', err: '' });
  });

  it('shows a bar on a terminal, and takes it away', async () => {
    api.answers(route, answers());
    const { err } = await kf(words(line), { server: api.url, tty: { stdout: true, stderr: true } });
    expect(err).toContain('500 of 1,000, 1,234 events');
    expect(err.endsWith('\r\u001b[K')).toBe(true);
  });

  it('exits 1 when it ends without a result, and when another replay is under way', async () => {
    api.answers(route, streamed(['progress', halfway]), problem('replay-running', 409));
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('ended without a result') });
    expect(await kf(words(line), { server: api.url })).toMatchObject({ code: 1, err: expect.stringContaining('replay-running') });
  });

  it('refuses a malformed --to and sends nothing', async () => {
    expect(await kf(words(`${line} --to 1e3`), { server: api.url })).toMatchObject({ code: 2, err: expect.stringContaining('--to: expected a position') });
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf audit: help', () => {
  it.each(['log', 'show', 'state', 'explain', 'refusals', 'replay'])('%s says which scope it needs, its exit codes, and an example', async (verb) => {
    const { code, out } = await kf(['audit', verb, '--help'], { server: api.url });
    expect(code).toBe(0);
    expect(out.replace(/\s+/g, ' ')).toContain('site:<site>:audit');
    expect(out).toContain(`$ kf audit ${verb}`);
    expect(out).toContain('Exit codes: 0');
  });
});
