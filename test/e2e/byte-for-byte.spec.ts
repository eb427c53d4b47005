import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import type { Api} from '../support/e2e/api.ts';
import { demo, kim } from '../support/e2e/api.ts';
import { type Delivered, Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(30_000);

const data = '{"id":9007199254740993,"x":1.0}';
/** What no JSON printer would print: blanks, an escaped letter, an exponent, a repeated name, characters outside the first plane. */
const odd = '{ "a" : 1.50e+3,\t"\\u0062":"\\u00e9 é 😀\\/", "a":-0.0 ,"deep":[ [ ] ,{ } ] }';

let installation: Installation;
let inbox: Inbox;
let api: Api;
let terminal: Terminal;

beforeAll(async () => {
  inbox = await Inbox.start();
  installation = await Installation.start();
  api = installation.root;
  terminal = new Terminal({ KF_SERVER: installation.url, KF_API_KEY: installation.server.rootKey });
}, 60_000);
afterAll(async () => {
  terminal?.end();
  await inbox?.close();
  await installation?.end();
});

const who = `--tenant ${demo} --actor-type SERVICE --actor-id registry`;

/** The ways in, each publishing exactly this text as the data of one event. */
const ways: readonly (readonly [string, (type: string, text: string) => Promise<string>])[] = [
  ['POST /api/events', async (type, text) => eventIdOf(await api.ask('POST', `/api/events?siteId=${demo}`, { text: `{"type":"${type}","data":${text}}` }))],
  ['an item of a list', async (type, text) => eventIdOf(await api.ask('POST', `/api/events?siteId=${demo}`, { text: `[\n {"data":${text} ,"type":"${type}"}\n]` }))],
  [
    'the command PublishEvent',
    async (type, text) => {
      const answer = await api.ask('POST', '/api/commands/PublishEvent', { headers: { 'idempotency-key': `by-command-${type}` }, text: `{"tenant":"${demo}","actor":{"type":"SERVICE","id":"registry"},"payload":{"type":"${type}","data":${text}}}` });
      return String(answer.body['resourceId']);
    },
  ],
  [
    'kf event publish --data-stdin',
    async (type, text) => {
      writeFileSync(join(terminal.home, `${type}.json`), text);
      return String((await terminal.ok(`kf event publish ${who} --type ${type} --data-stdin < ${type}.json`)).json['resourceId']);
    },
  ],
];

const eventIdOf = ({ body }: { readonly body: Readonly<Record<string, unknown>> }): string => (body['items'] as { eventId: string }[])[0]?.eventId ?? '';

describe.each(ways)('data published by %s', (way, publish) => {
  const type = `bytes.${ways.findIndex(([name]) => name === way)}`;
  it.each([['numbers that a parser changes', data], ['text that a printer changes', odd]])('arrives byte for byte: %s', async (_case, text) => {
    const eventType = `${type}.${text === data ? 'numbers' : 'text'}`;
    const { result } = await api.subscribe(inbox.url(eventType), eventType);
    const eventId = await publish(eventType, text);
    const [delivered] = await inbox.arrived(eventType, 1);
    expect(delivered?.body.endsWith(`,"data":${text}}`)).toBe(true);
    expect(delivered?.event).toMatchObject({ id: eventId, type: eventType });
    expect(() => new Webhook(String(result.secret)).verify(delivered?.body ?? '', delivered?.headers as Record<string, string>)).not.toThrow();
    expect((await api.get(`/api/events/${eventId}?siteId=${demo}`)).text.endsWith(`,"data":${text}}`)).toBe(true);
  });
});

it('kf event publish --data sends its text as typed', async () => {
  await api.subscribe(inbox.url('typed'), 'bytes.typed');
  await terminal.ok(`kf event publish ${who} --type bytes.typed --data '${data}'`);
  const [delivered] = await inbox.arrived('typed', 1);
  expect(delivered?.body.endsWith(`,"data":${data}}`)).toBe(true);
});

describe('a delivered request', () => {
  it('carries what the design says, and both signatures over its bytes', async () => {
    const { result } = await api.subscribe(inbox.url('signed?a=1&b=%20'), 'bytes.signed');
    const { eventId } = await api.publish('bytes.signed', { hello: 'world' });
    const [delivered] = await inbox.arrived('signed?a=1&b=%20', 1);
    const { method, path, headers, body } = delivered as Delivered;
    expect([method, path]).toEqual(['POST', '/signed?a=1&b=%20']);
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'accept-encoding': 'identity', 'user-agent': expect.stringMatching(/^Countersign\/\d/), 'webhook-id': expect.stringMatching(/^dlv_[0-9a-z]{26}$/) });
    expect(Object.keys(JSON.parse(body) as object)).toEqual(['id', 'type', 'timestamp', 'tenant', 'environment', 'data']);
    expect(JSON.parse(body)).toMatchObject({ id: eventId, tenant: demo, environment: 'production', data: { hello: 'world' } });
    expect(new Webhook(String(result.secret)).verify(body, headers as Record<string, string>)).toEqual(JSON.parse(body));
    expect(String(headers['roost-signature'])).toBe(roostOf(delivered as Delivered, String(result.secret)));
    expect(() => new Webhook(String(result.secret)).verify(`${body} `, headers as Record<string, string>)).toThrow();
  });

  it('is signed with both secrets in the grace window, and with the new one alone after it', async () => {
    const approver = await api.person(kim.id);
    const { resourceId, result } = await api.subscribe(inbox.url('rotated'), 'bytes.rotated');
    const old = String(result.secret);
    const rotate = async (graceSeconds: number): Promise<string> => {
      const { resourceId: approvalId, revision } = await api.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId, expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
      await api.as(approver.text).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
      return String((await api.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: resourceId, graceSeconds })).result.secret);
    };
    const next = async (count: number): Promise<Delivered> => {
      await api.publish('bytes.rotated', { count });
      return (await inbox.arrived('rotated', count))[count - 1] as Delivered;
    };
    expect(verifying(await next(1), [old])).toEqual([old]);

    const second = await rotate(1);
    const rotatedAtMs = performance.now();
    const both = await next(2);
    expect(verifying(both, [old, second])).toEqual([old, second]);
    expect(both.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
    expect(both.headers['roost-signature']).toBe(roostOf(both, second, old));

    await delay(Math.max(0, 1_100 - (performance.now() - rotatedAtMs)));
    const after = await next(3);
    expect(verifying(after, [old, second])).toEqual([second]);
    expect(after.headers['roost-signature']).toBe(roostOf(after, second));

    const third = await rotate(0);
    expect(verifying(await next(4), [old, second, third])).toEqual([third]);
  });
});

/** Which of the secrets a receiver with the public library would accept it with. */
const verifying = ({ body, headers }: Delivered, secrets: readonly string[]): readonly string[] =>
  secrets.filter((secret) => {
    try {
      new Webhook(secret).verify(body, headers as Record<string, string>);
      return true;
    } catch {
      return false;
    }
  });

/** `Roost-Signature` as a receiver computes it, from its description alone. */
function roostOf({ headers, body }: Delivered, ...secrets: readonly string[]): string {
  const time = String(headers['webhook-timestamp']);
  const signatures = secrets.map((secret) => createHmac('sha256', Buffer.from(secret.slice('whsec_'.length), 'base64')).update(`${time}.${body}`).digest('hex'));
  return [`t=${time}`, ...signatures.map((hex) => `v1=${hex}`)].join(',');
}
