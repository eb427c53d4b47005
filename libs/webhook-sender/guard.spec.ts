import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { type Receiver, startTcpReceiver, systemClock } from '../../test/support/webhook-receivers.ts';
import type { Resolve } from './resolver.ts';
import { createSender, type Sender } from './sender.ts';
import { createTargetPolicy, resolveAndCheckTarget } from './target-policy.ts';
import type { AttemptTranscript } from './transcript.ts';

/** Listens where a request must never arrive: on both loopback addresses, at one port. */
let canaries: Receiver[];
let port: number;
const senders: Sender[] = [];

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n';

async function startCanaries(): Promise<Receiver[]> {
  const first = await startTcpReceiver((socket) => void socket.once('data', () => socket.end(answer)));
  const second = await startTcpReceiver((socket) => void socket.once('data', () => socket.end(answer)), '::1', first.port).catch(() => undefined);
  return second === undefined ? [first] : [first, second];
}

beforeEach(async () => {
  canaries = await startCanaries();
  port = canaries[0]?.port ?? 0;
});

afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.close();
  for (const canary of canaries) await canary.close();
});

const connections = (): number => canaries.reduce((sum, canary) => sum + canary.connections(), 0);

function senderWith(allowTargets: readonly string[], resolve?: Resolve, allowHttp = true): Sender {
  const sender = createSender({ policy: createTargetPolicy({ allowTargets, allowHttp }), clock: systemClock, userAgent: 'Countersign/0.0.0', ...(resolve === undefined ? {} : { resolve }) });
  senders.push(sender);
  return sender;
}

const attempt = (sender: Sender, url: string): Promise<AttemptTranscript> =>
  sender.attempt({ url, webhookId: 'dlv_1', body: '{}', keys: [new Secret(new Uint8Array(32))], timestampSeconds: 1, timeoutMs: 5_000 });

const refused = { response: null, error: 'target-refused', remoteAddress: null };

/** Hosts that mean loopback to the operating system, in every form that the URL parser lets through. */
const loopbackHosts = [
  '127.0.0.1', '127.1', '127.0.1', '0x7f.1', '0x7f.0x0.0x0.0x1', '0x7f000001', '2130706433', '0177.0.0.1', '0177.1', '017700000001', '127.0.0.1.', '１２７.０.０.１', '①②⑦.⓪.⓪.①', '127%2e0.0.1',
  'localhost', 'LOCALHOST', 'localhost.', 'app.localhost', '[::1]', '[0:0:0:0:0:0:0:1]', '[::ffff:7f00:1]', '[::ffff:127.0.0.1]', '[0:0:0:0:0:ffff:7f00:0001]',
];

/** Hosts that must be refused although, here, some of them lead nowhere. */
const otherHosts = [
  '0', '0.0.0.0', '[::]', '[::ffff:0:0]', '127.0.0.2', '10.0.0.1', '172.16.0.1', '192.168.0.1', '169.254.169.254', '[::127.0.0.1]', '[::ffff:0:127.0.0.1]', '[64:ff9b::127.0.0.1]', '[64:ff9b:1::127.0.0.1]',
  '[64:ff9b:1:1::127.0.0.1]', '[2002:7f00:1::1]', '[2001:0:808:808:0:1:80ff:fffe]', '[2001:0:7f00:1:0:1:f7f7:f7f7]', '[2a00:1450::5efe:7f00:1]', '[2a00:1450::200:5efe:7f00:1]', '[fe80::1]', '[fd00::1]', '[ff02::1]',
];

describe('no connection is made for a refused address', () => {
  it.each([...loopbackHosts, ...otherHosts])('%s', async (host) => {
    for (const scheme of ['http', 'https']) expect(await attempt(senderWith([]), `${scheme}://${host}:${port}/`)).toMatchObject(refused);
    expect(connections()).toBe(0);
  });

  it.each(loopbackHosts)('and the canary would have heard it: %s reaches it once loopback is allowed', async (host) => {
    // A host of ::1 alone says nothing on a machine without IPv6.
    if (canaries.length === 1 && /^\[.*:0*1\]$/.test(host) && !host.includes('ffff')) return;
    expect(await attempt(senderWith(['loopback'], undefined, false), `http://${host}:${port}/`)).toMatchObject({ response: { status: 200 } });
    expect(connections()).toBe(1);
  });
});

describe('no connection is made for a name', () => {
  it.each([
    ['127.0.0.1'], ['::1'], ['::ffff:127.0.0.1'], ['0.0.0.0'], ['::'], ['10.0.0.1'], ['169.254.169.254'], ['64:ff9b::7f00:1'], ['2002:7f00:1::1'], ['fe80::1%lo'], ['nonsense'],
    ['8.8.8.8', '127.0.0.1'], ['127.0.0.1', '8.8.8.8'], ['2606:4700:4700::1111', '::1'], ['8.8.8.8', '1.1.1.1', '9.9.9.9', '169.254.169.254'],
  ])('that has a refused address among its own: %s %s %s %s', async (...addresses) => {
    expect(await attempt(senderWith([], () => Promise.resolve(addresses.filter((address) => typeof address === 'string'))), `http://a.example:${port}/`)).toMatchObject(refused);
    expect(connections()).toBe(0);
  });

  it('that was public when it was checked and is not any more', async () => {
    const answers = [['8.8.8.8'], ['127.0.0.1']];
    const resolve: Resolve = () => Promise.resolve(answers.shift() ?? []);
    const url = `https://a.example:${port}/`;
    expect(await resolveAndCheckTarget(url, createTargetPolicy({ allowTargets: [], allowHttp: false }), resolve)).toBeUndefined();
    expect(await attempt(senderWith([], resolve), url)).toMatchObject(refused);
    expect(connections()).toBe(0);
  });

  it('over http, unless its addresses are all allowed explicitly', async () => {
    expect(await attempt(senderWith(['10.0.0.0/8'], () => Promise.resolve(['8.8.8.8']), false), `http://a.example:${port}/`)).toMatchObject(refused);
    expect(await attempt(senderWith(['loopback'], () => Promise.resolve(['127.0.0.1', '8.8.8.8']), false), `http://a.example:${port}/`)).toMatchObject(refused);
    expect(connections()).toBe(0);
    expect(await attempt(senderWith(['loopback'], () => Promise.resolve(['127.0.0.1']), false), `http://a.example:${port}/`)).toMatchObject({ response: { status: 200 } });
  });
});

describe('a name', () => {
  it('is dialled at the very addresses that were judged, by no other lookup', async () => {
    const asked: string[] = [];
    const resolve: Resolve = (name) => {
      asked.push(name);
      return Promise.resolve(['127.0.0.1']);
    };
    const transcript = await attempt(senderWith(['loopback'], resolve), `http://No-Such-Name.invalid.:${port}/`);
    expect(transcript).toMatchObject({ response: { status: 200 }, remoteAddress: '127.0.0.1' });
    expect(asked).toEqual(['no-such-name.invalid']);
  });

  it('is resolved and judged again for every new connection', async () => {
    const answers = [['127.0.0.1'], ['127.0.0.1'], ['127.0.0.1', '10.0.0.1']];
    const sender = senderWith(['loopback'], () => Promise.resolve(answers.shift() ?? []));
    const outcomes: (string | number | null | undefined)[] = [];
    for (let count = 0; count < 3; count += 1) {
      const { response, error } = await attempt(sender, `http://a.example:${port}/`);
      outcomes.push(error ?? response?.status);
    }
    expect(outcomes).toEqual([200, 200, 'target-refused']);
    expect(connections()).toBe(2);
  });

  it('that is listed may be anywhere; a name that only looks like it may not', async () => {
    const sender = senderWith(['a.example'], () => Promise.resolve(['127.0.0.1']), false);
    expect(await attempt(sender, `http://A.example.:${port}/`)).toMatchObject({ response: { status: 200 } });
    expect(await attempt(sender, `http://b.a.example:${port}/`)).toMatchObject(refused);
    expect(connections()).toBe(1);
  });

  it('with an address that does not answer is tried at the next', async () => {
    const sender = senderWith(['loopback'], () => Promise.resolve(['127.0.0.9', '127.0.0.1']));
    expect(await attempt(sender, `http://a.example:${port}/`)).toMatchObject({ response: { status: 200 }, remoteAddress: '127.0.0.1' });
  });
});
