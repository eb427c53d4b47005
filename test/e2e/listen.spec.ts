import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type Api, demo } from '../support/e2e/api.ts';
import { GoingOn } from '../support/e2e/going-on.ts';
import { type Delivered, Inbox, type Replies } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(60_000);

interface Line {
  readonly position: string;
  readonly eventId: string;
  readonly type: string;
  readonly status: number | null;
}

let installation: Installation;
let inbox: Inbox;
let api: Api;
const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const listening: GoingOn[] = [];

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start();
  api = installation.root;
}, 60_000);
afterEach(() => Promise.all(listening.splice(0).map((one) => one.end('SIGKILL'))));
afterAll(async () => {
  await inbox?.close();
  await installation?.end();
});

/** `kf listen` that forwards the events of a tenant to a box, signed with our secret. */
function listen(box: string, flags: readonly string[] = [], { tenant = demo, replies = undefined as Replies | undefined, key = installation.server.rootKey } = {}): GoingOn {
  const words = ['listen', '--site', tenant, '--forward-to', inbox.url(box, replies), '--secret-stdin', '--output', 'jsonl', ...flags];
  const one = GoingOn.start(words, { KF_SERVER: installation.url, KF_API_KEY: key }, `${secret}\n`);
  listening.push(one);
  return one;
}

/** Publishes so many events in lists, and answers what `kf listen` has to say of them. */
async function publish(count: number, tenant: string, data: (index: number) => string = (index) => `{"n":${index}}`): Promise<readonly Line[]> {
  const lines: Line[] = [];
  for (let first = 0; first < count; first += 250) {
    const events = Array.from({ length: Math.min(250, count - first) }, (_, index) => `{"type":"version.published","data":${data(first + index)}}`);
    const { body } = await api.ask('POST', `/api/events?siteId=${tenant}`, { text: `[${events.join(',')}]` });
    lines.push(...(body['items'] as readonly Line[]).map(({ position, eventId }) => ({ position, eventId, type: 'version.published', status: 200 })));
  }
  return lines.sort((a, b) => Number(a.position) - Number(b.position));
}

const told = (...parts: readonly GoingOn[]): readonly Line[] => parts.flatMap((part) => part.lines<Line>()).map(({ position, eventId, type, status }) => ({ position, eventId, type, status }));

/** Each event once, in the order in which it arrived first. */
const distinct = (requests: readonly Delivered[]): readonly Delivered[] => [...new Map(requests.map((request) => [request.event.id, request])).values()];

describe('kf listen', () => {
  it('killed in the middle and started again after the last position it printed, has told each of 1,000 events once and in order; the bodies are those of deliveries', async () => {
    const tenant = 'tnt_thousand';
    await api.subscribe(inbox.url('delivered'), 'version.*', {}, { tenant });
    // Layout, numbers and characters that printing the JSON again would change.
    const expected = await publish(1_000, tenant, (index) => `{ "n": ${index}.0,\r\n\t"größe": 9007199254740993 }`);
    const first = listen('forwarded', ['--from', '0'], { tenant });
    await inbox.arrived('forwarded', 400, 30_000);
    await first.end('SIGKILL');
    const last = first.lines<Line>().at(-1);
    expect(Number(last?.position)).toBeLessThan(Number(expected.at(-1)?.position));

    const second = listen('forwarded', ['--from', last?.position ?? ''], { tenant });
    await second.said(1_000 - first.lines().length, 30_000);
    expect(told(first, second)).toEqual(expected);
    expect(await second.end('SIGINT')).toBe(0);
    expect(second.err).toContain(`${1_000 - first.lines().length} forwarded, ${1_000 - first.lines().length} of them answered with 2xx. Go on with --from ${expected.at(-1)?.position}\n`);

    const forwarded = distinct(inbox.in('forwarded'));
    // At most the one event is sent twice that was under way when it was killed.
    expect(inbox.in('forwarded').length - forwarded.length).toBeLessThanOrEqual(1);
    expect(forwarded.map(({ event }) => event.id)).toEqual(expected.map(({ eventId }) => eventId));
    const delivered = new Map(distinct(await inbox.arrived('delivered', 1_000, 30_000)).map(({ event, body }) => [event.id, body]));
    for (const { body, headers, event } of forwarded) {
      expect(body).toBe(delivered.get(event.id));
      expect(headers['webhook-id']).toBe(event.id);
      expect(() => new Webhook(secret).verify(body, headers as Record<string, string>)).not.toThrow();
    }
  });

  it('goes on without a gap when the server was killed and started again', async () => {
    const tenant = 'tnt_restart';
    const before = await publish(300, tenant);
    const slowly: Replies = () => new Promise((resolve) => setTimeout(() => resolve({}), 2));
    const one = listen('restart', ['--from', '0'], { tenant, replies: slowly });
    await inbox.arrived('restart', 100, 20_000);
    const { port } = new URL(installation.server.url);
    await installation.server.kill();
    await installation.startServer({ KF_PORT: port });
    api = installation.root;
    const after = await publish(100, tenant);
    await one.said(400, 30_000);
    expect(told(one)).toEqual([...before, ...after]);
    expect(distinct(inbox.in('restart'))).toHaveLength(inbox.in('restart').length);
    expect(one.err).toContain('The connection was lost');
  });

  it('ends when its key is revoked', async () => {
    const key = await api.newKey({ name: 'laptop', scopes: [`site:${demo}:read`], actor: { type: 'USER', id: 'usr_dev' } });
    await publish(2, demo);
    const one = listen('revoked', ['--from', '0'], { key: key.text });
    await one.said(2);
    await api.do('RevokeApiKey', { keyId: key.id });
    expect([await one.code(), one.lines().length]).toEqual([1, 2]);
    expect(one.err).toContain('(unauthenticated, 401)');
  });

  it('as a test tool ends with 0 when what was expected was accepted, else with 1', async () => {
    const tenant = 'tnt_expect';
    await publish(5, tenant);
    const replies: Replies = () => ({ status: inbox.in('expect').length === 1 ? 500 : 204 });
    const enough = listen('expect', ['--from', '0', '--expect', '3', '--timeout', '20'], { tenant, replies });
    expect([await enough.code(), told(enough).map(({ status }) => status)]).toEqual([0, [500, 204, 204, 204]]);
    const tooFew = listen('too-few', ['--from', '0', '--expect', '6', '--timeout', '4'], { tenant });
    expect([await tooFew.code(), tooFew.lines().length]).toEqual([1, 5]);
    expect(tooFew.err).toContain('5 of 6 expected events were answered with 2xx within 4 s');
  });

  it('ends with 0 when it is interrupted while it waits', async () => {
    const one = listen('interrupted', ['--from', '0'], { tenant: 'tnt_expect' });
    await one.said(5);
    expect(await one.end('SIGINT')).toBe(0);
  });

  it('does not hold up the stop of the server', async () => {
    const one = listen('stopped', ['--from', '0'], { tenant: 'tnt_expect' });
    await one.said(5);
    const { port } = new URL(installation.server.url);
    const startedMs = performance.now();
    await installation.stop();
    expect(performance.now() - startedMs).toBeLessThan(12_000);
    await installation.startServer({ KF_PORT: port });
    api = installation.root;
    const more = await publish(1, 'tnt_expect');
    await one.said(6, 20_000);
    expect(told(one).at(-1)).toEqual(more[0]);
  });
});

describe('kf trigger and kf verify', () => {
  it('what the one sends, the other finds valid, and says what a proxy did to it', async () => {
    const terminal = new Terminal({});
    const file = (name: string, content: string): string => {
      writeFileSync(join(terminal.home, name), content);
      return name;
    };
    file('secret', `${secret}\n`);
    await terminal.ok(`kf trigger version.published --to ${inbox.url('triggered')} --payload '{"n": 1.0}' --secret-stdin < secret`);
    const [{ headers, body }] = (await inbox.arrived('triggered', 1)) as readonly [Delivered];
    const verify = `kf verify --secret-stdin --headers-file ${file('headers', JSON.stringify(headers))} --body-file body < secret`;
    file('body', body);
    expect((await terminal.ok(verify)).json).toMatchObject({ valid: true });
    file('body', JSON.stringify(JSON.parse(body)));
    const { code, json } = await terminal.run(verify);
    expect([code, json['valid']]).toEqual([1, false]);
    terminal.end();
  });
});
