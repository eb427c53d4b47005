import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type Api, demo, slugOf } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { type Receiver, startTcpReceiver } from '../support/webhook-receivers.ts';

jest.setTimeout(30_000);

const nothingAllowed = { KF_ALLOW_TARGETS: '', KF_RETRY_SCHEDULE: '0s,100ms' };
const settings = { eventPattern: 'a.b', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };

/** Every way to write this machine, its network or its cloud's metadata that a URL parser lets through; PORT is where the canary listens. */
const literals = [
  '127.0.0.1:PORT', '127.1:PORT', '127.0.1:PORT', '0x7f.1:PORT', '0x7f000001:PORT', '0x7F.0x0.0x0.0x1:PORT', '2130706433:PORT', '0177.0.0.1:PORT', '017700000001:PORT', '00000177.1:PORT', '127.0.0.1.:PORT', '127.1.2.3:PORT',
  '[::1]:PORT', '[0:0:0:0:0:0:0:1]:PORT', '[::ffff:7f00:1]:PORT', '[::ffff:127.0.0.1]:PORT', '[::127.0.0.1]:PORT', '[::ffff:0:7f00:1]:PORT', '[64:ff9b::7f00:1]:PORT', '[64:ff9b:1::7f00:1]:PORT', '[2002:7f00:1::]:PORT', '[2001:0:808:808:0:1:80ff:fffe]:PORT', '[2a00:1450:1:2:0:5efe:7f00:1]:PORT',
  'localhost:PORT', 'LOCALHOST:PORT', 'localhost.:PORT', 'a.localhost:PORT', '１２７.０.０.１:PORT', '①②⑦.⓪.⓪.①:PORT', '127%2e0.0.1:PORT', 'l%6fcalhost:PORT', '0:PORT', '0.0.0.0:PORT', '[::]:PORT',
  '10.0.0.1', '10.255.255.255', '172.16.0.1', '192.168.1.1', '169.254.169.254', '0xa9fea9fe', '2852039166', '[::ffff:a9fe:a9fe]', '[fd00:ec2::254]', '[fc00::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]', '100.64.0.1', '100.100.100.200',
  '192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '[2001:db8::1]', '[100::1]',
];

const isNamed = (line: string): boolean => /^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1\s)/.test(line);
/** Names that this machine's hosts file gives an address of its own; most machines have one beside `localhost`. */
const hostsNames = [...new Set(readFileSync('/etc/hosts', 'utf8').split('\n').filter(isNamed).flatMap((line) => line.replace(/#.*/, '').trim().split(/\s+/).slice(1)))].filter((name) => /^[a-z0-9.-]+$/.test(name));

describe('a server that allows no targets', () => {
  let installation: Installation;
  let canary: Receiver;
  let api: Api;

  beforeAll(async () => {
    canary = await startTcpReceiver(() => undefined);
    installation = await Installation.start(nothingAllowed);
    api = installation.root;
  }, 60_000);
  afterAll(async () => {
    await canary?.close();
    await installation?.end();
  });

  const upsert = (targetUrl: string): ReturnType<Api['command']> => api.command('UpsertWebhookSubscription', { ...settings, targetUrl });

  it.each(literals.flatMap((literal) => [`https://${literal}/hook`, `http://${literal}/hook`]))('refuses %s, and names the setting that would allow it', async (form) => {
    const answer = await upsert(form.replace('PORT', String(canary.port)));
    expect([answer.status, slugOf(answer)]).toEqual([422, 'target-url-refused']);
    expect(answer.body).toMatchObject({ setting: expect.stringMatching(/^KF_ALLOW_TARGETS=\S+$/), detail: expect.stringMatching(/KF_ALLOW_TARGETS=\S+ would allow it/) });
    expect(answer.body['title']).not.toContain('127');
  });

  it.each(hostsNames)('refuses a name that the hosts file gives an address of this machine: %s', async (name) => {
    for (const scheme of ['http', 'https']) {
      const answer = await upsert(`${scheme}://${name}:${canary.port}/hook`);
      expect([answer.status, slugOf(answer)]).toEqual([422, 'target-url-refused']);
      expect(answer.body['setting']).toMatch(/^KF_ALLOW_/);
    }
  });

  it('refuses http: to a public address, and names the settings', async () => {
    const answer = await upsert('http://8.8.8.8/hook');
    expect([answer.status, answer.body['setting']]).toEqual([422, 'KF_ALLOW_HTTP=true']);
  });

  it.each(['ftp://8.8.8.8/', 'file:///etc/passwd', 'gopher://127.0.0.1/', 'https://user:secret-word@8.8.8.8/', 'javascript:alert(1)', 'https://', '//8.8.8.8/'])('refuses what is no URL of a receiver: %s', async (url) => {
    const answer = await upsert(url);
    expect([400, 422]).toContain(answer.status);
    expect(answer.text).not.toContain('secret-word');
  });

  it('takes a public https address, so the refusals above are no accident', async () => {
    expect((await upsert('https://8.8.8.8/hook')).status).toBe(200);
  });

  it('has connected to nobody', () => expect(canary.connections()).toBe(0));
});

describe('a subscription from the time when loopback was allowed', () => {
  let installation: Installation;
  let inbox: Inbox;

  beforeAll(async () => {
    inbox = await Inbox.start();
    installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s' });
  }, 60_000);
  afterAll(async () => {
    await inbox?.close();
    await installation?.end();
  });

  it('is no longer connected to: its attempts end target-refused, by literal and by name', async () => {
    const byLiteral = await installation.root.subscribe(inbox.url('old'), 'ssrf.old');
    const byName = await installation.root.subscribe(inbox.url('named').replace('127.0.0.1', 'localhost'), 'ssrf.old');
    await installation.root.publish('ssrf.old');
    await Promise.all([inbox.arrived('old', 1), inbox.arrived('named', 1)]);
    const connections = inbox.connections();
    await installation.stop();
    await installation.startServer(nothingAllowed);

    const api = installation.root;
    const { eventId, position } = await api.publish('ssrf.old');
    for (const { resourceId } of [byLiteral, byName]) {
      const dead = await eventually('the dead letter', async () => (await api.deliveries(resourceId, `&waitFor=${position}&status=DEAD_LETTERED`)).items.find((delivery) => delivery.eventId === eventId));
      const { transcripts } = await api.delivery(resourceId, dead.id);
      expect(transcripts.map(({ error, response }) => [error, response])).toEqual([['target-refused', null], ['target-refused', null]]);
    }
    expect(inbox.connections()).toBe(connections);
  });
});

describe('a receiver that redirects', () => {
  let installation: Installation;
  let inbox: Inbox;
  let canary: Receiver;

  beforeAll(async () => {
    inbox = await Inbox.start();
    canary = await startTcpReceiver(() => undefined);
    installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s,50ms' });
  }, 60_000);
  afterAll(async () => {
    await Promise.all([inbox?.close(), canary?.close()]);
    await installation?.end();
  });

  it.each([301, 302, 303, 307, 308])('is not followed: %i is a failure', async (status) => {
    const api = installation.root;
    const box = `redirect-${status}`;
    const { resourceId } = await api.subscribe(inbox.url(box, () => ({ status, headers: { location: canary.url } })), `ssrf.redirect-${status}`);
    await api.publish(`ssrf.redirect-${status}`);
    await inbox.arrived(box, 2);
    const dead = await eventually('the dead letter', async () => (await api.deliveries(resourceId, '&status=DEAD_LETTERED')).items[0]);
    expect((await api.delivery(resourceId, dead.id, demo)).transcripts.map(({ response }) => response?.status)).toEqual([status, status]);
    expect(canary.connections()).toBe(0);
  });
});
