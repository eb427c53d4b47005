import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { limits } from '#contracts';
import { wireBody } from '#deliveries';
import type { EventBatch, EventStore } from '#event-store';
import { createMemoryEventStore } from '#event-store/memory';
import { eventStream as streamOf, formatInstant, type RecordedEvent, type Site } from '#kernel';
import { readPublishedEvent } from '#publishing';
import { eventually } from '../../../test/support/e2e/eventually.ts';
import { rootKeyText, type Shell, startShell } from '../../../test/support/http-shell.ts';
import { eventStream, type SseMessage } from '../../cli/sse.ts';
import { Arrivals, mostSites } from './stream-arrivals.ts';

let shell: Shell;
let store: EventStore;
let url: string;
let stopped: boolean;
const leaving: (() => void)[] = [];

beforeEach(async () => {
  store = createMemoryEventStore();
  stopped = false;
  await start(store);
});
afterEach(async () => {
  leaving.splice(0).forEach((leave) => leave());
  if (!stopped) await shell.close();
  await store.close();
});

async function start(logReader: EventStore): Promise<void> {
  shell = await startShell({ logReader });
  await shell.app.listen(0, '127.0.0.1');
  url = (await shell.app.getUrl()).replace('[::1]', '127.0.0.1');
}

let made = 0;
const uuid = (): string => `00000000-0000-4000-8000-${String((made += 1)).padStart(12, '0')}`;

/** Publishes one event and answers its position. */
async function publish(type: string, { data = '{}', site = 'acme', operational = false } = {}): Promise<string> {
  const [tenant = '', environment = 'production'] = site.split('.');
  const eventId = `evt_${(made += 1)}`;
  const metadata = { publishedid: eventId, publishedtype: type, tenant, environment, recordedat: formatInstant(shell.clock.now()), operational: String(operational) };
  const { position } = await store.append(streamOf({ tenant, environment }, eventId), 'NO_STREAM', [{ id: uuid(), type: 'EventPublished', data, metadata }]);
  return position;
}

interface Listening {
  readonly messages: SseMessage[];
  /** All of its messages once there are so many. */
  has(count: number): Promise<readonly SseMessage[]>;
  /** Resolves when the server has ended it, well or not. */
  readonly ended: Promise<void>;
  leave(): void;
}

/** Opens a stream and takes whatever comes. */
function listen(query = '', { key = rootKeyText, headers = {} }: { readonly key?: string; readonly headers?: Record<string, string> } = {}): Listening {
  const messages: SseMessage[] = [];
  const leaving = new AbortController();
  const take = async (): Promise<void> => {
    const open = (): Promise<Response> => fetch(`${url}/api/events/stream?siteId=acme${query}`, { headers: { authorization: `Bearer ${key}`, ...headers }, signal: leaving.signal });
    for await (const message of eventStream(open, { path: '' })) messages.push(message);
  };
  const ended = take().catch(() => undefined);
  const listening = { messages, ended, leave: () => leaving.abort(), has: (count: number) => eventually(`${count} messages`, () => (messages.length >= count ? messages : undefined)) };
  remember(listening.leave);
  return listening;
}

const remember = (leave: () => void): void => void leaving.push(leave);

const typesOf = (messages: readonly SseMessage[]): readonly unknown[] => messages.filter(({ event }) => event === 'event').map(({ data }) => (JSON.parse(data) as { type: string }).type);

const events = async (): Promise<readonly RecordedEvent[]> => (await store.readAll('0', undefined, 1_000)).events;

describe('GET /api/events/stream', () => {
  it('begins at the end of the log and sends what happens from then on, in its order', async () => {
    await publish('before.it');
    const listening = listen();
    await listening.has(1);
    for (const type of ['a.b', 'c.d', 'e.f']) await publish(type);
    const [connected, ...following] = await listening.has(4);
    expect(connected).toEqual({ event: 'connected', id: '1', data: '{"siteId":"acme","position":"1","events":null}' });
    expect([typesOf(following), following.map(({ id }) => id)]).toEqual([['a.b', 'c.d', 'e.f'], ['2', '3', '4']]);
  });

  it('sends the body of a delivery, byte for byte', async () => {
    for (const data of ['{"id":9007199254740993,"n":1.0}', '{\n  "a":\t[ 1,\r\n 2 ]\r}', '"größe \u2028 😀"', 'null']) await publish('a.b', { data });
    const messages = await listen('&from=0').has(5);
    expect(messages.slice(1).map(({ data }) => data)).toEqual((await events()).map((event) => wireBody(readPublishedEvent(event))));
  });

  it.each(['&from=2', '&from=0 and Last-Event-ID'])('goes on after %s without a gap', async (query) => {
    for (const type of ['a.one', 'a.two', 'a.three']) await publish(type);
    const [from = '', resumes] = query.split(' and ');
    const listening = listen(from, { headers: resumes === undefined ? {} : { 'last-event-id': '2' } });
    await listening.has(2);
    await publish('a.four');
    expect(typesOf(await listening.has(3))).toEqual(['a.three', 'a.four']);
  });

  it('misses nothing that arrives while it reads the end of the log', async () => {
    const readAll = store.readAll.bind(store);
    let meanwhile = true;
    store.readAll = async (...asked): Promise<EventBatch> => {
      const batch = await readAll(...asked);
      if (asked[2] !== 100 || !meanwhile) return batch;
      meanwhile = false;
      await publish('a.b');
      // Long enough for everybody to be told of it.
      await shell.clock.advance(1);
      return batch;
    };
    expect(typesOf(await listen().has(2))).toEqual(['a.b']);
  });

  it('knows one site only', async () => {
    for (const site of ['acme', 'acme.staging', 'acme2', 'other']) await publish(`of.${site.replace('.', '-')}`, { site });
    const listening = listen('&from=0');
    await listening.has(2);
    await publish('of.nobody', { site: 'acme.staging' });
    await publish('of.acme-again');
    expect(typesOf(await listening.has(3))).toEqual(['of.acme', 'of.acme-again']);
  });

  it.each([
    ['', ['version.published', 'claim.filed', 'claim.filed.late']],
    ['&events=version.*', ['version.published']],
    ['&events=version.*,claim.**', ['version.published', 'claim.filed', 'claim.filed.late']],
    ['&events=**', ['version.published', 'claim.filed', 'claim.filed.late']],
    ['&events=webhook.**', ['webhook.subscription.paused']],
  ])('with %p has %p: operational events are for those who name them', async (query, types) => {
    await publish('version.published');
    await publish('claim.filed');
    await publish('webhook.subscription.paused', { operational: true });
    await publish('claim.filed.late');
    expect(typesOf(await listen(`&from=0${query}`).has(types.length + 1))).toEqual(types);
  });

  it.each([
    ['events=version,,claim', 'validation-failed', 'events', 'must be a pattern such as version.*,claim.**: it has an empty item'],
    ['events=Version.*', 'validation-failed', 'events', 'must be a pattern such as version.*,claim.**: it has "Version.*", where "Version" is not a segment of [a-z0-9_-]+, * or **'],
    ['from=-1', 'validation-failed', 'from', 'must be a position as a stream or an answer gave it: decimal digits'],
    ['from=01', 'validation-failed', 'from', 'must be a position as a stream or an answer gave it: decimal digits'],
    ['form=1', 'validation-failed', 'form', 'is not a parameter of this path. Did you mean "from"?'],
  ])('%s is refused with 400', async (query, slug, path, message) => {
    const { status, body } = await shell.send('GET', `/api/events/stream?siteId=acme&${query}`);
    expect([status, body['type'], body['errors']]).toEqual([400, `https://countersign.dev/problems/${slug}`, [{ path, message }]]);
  });

  it('a Last-Event-ID that is none is refused with 400', async () => {
    const { status, body } = await shell.send('GET', '/api/events/stream?siteId=acme', { headers: { 'last-event-id': 'x' } });
    expect([status, body['errors']]).toEqual([400, [{ path: 'Last-Event-ID', message: 'must be a position as a stream or an answer gave it: decimal digits' }]]);
  });

  it('a position beyond the end of the log is refused', async () => {
    await publish('a.b');
    const { status, body } = await shell.send('GET', '/api/events/stream?siteId=acme&from=2');
    expect([status, body['type'], body['head']]).toEqual([400, 'https://countersign.dev/problems/position-unknown', '1']);
  });

  it.each([
    ['site:acme:write', 403],
    ['site:other:read', 404],
  ])('a key with %s gets %i', async (scope, status) => expect((await shell.send('GET', '/api/events/stream?siteId=acme', { key: shell.key([scope]) })).status).toBe(status));
});

/** The bare answer: a socket that reads only when it is told. */
async function rawStream(query: string, method = 'GET'): Promise<{ readonly socket: Socket; readonly text: () => string }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  remember(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write(`${method} /api/events/stream?siteId=acme${query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${rootKeyText}\r\n\r\n`);
  await eventually('an answer', () => text.includes('\r\n\r\n') || undefined);
  return { socket, text: () => text };
}

/** How many clients the server is connected with. */
const connections = (): Promise<number> => new Promise((resolve, reject) => shell.app.getHttpServer().getConnections((error: Error | null, count: number) => (error === null ? resolve(count) : reject(error))));

describe('an event stream', () => {
  it('is not stored and not held back by what stands between, and has the headers of every answer', async () => {
    const { text } = await rawStream('');
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    for (const header of ['content-type: text/event-stream', 'cache-control: no-store', 'x-accel-buffering: no', 'x-content-type-options: nosniff', 'x-correlation-id: ']) expect(text()).toContain(`\r\n${header}`);
  });

  it('ends at once when only its headers are asked for', async () => {
    const { socket, text } = await rawStream('', 'HEAD');
    await eventually('its end', () => socket.closed || undefined);
    expect(text()).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  });

  it('says something every 15 s', async () => {
    const { text } = await rawStream('');
    await eventually('the first message', () => text().includes('event: connected') || undefined);
    await shell.clock.advance(14_999);
    expect(text()).not.toContain('keep-alive');
    await shell.clock.advance(30_001);
    await eventually('three comments', () => text().split(': keep-alive\n\n').length === 4 || undefined);
  });

  /** Time passes until a client was cut off. */
  const cutOff = (): Promise<unknown> => eventually('its end', () => shell.clock.advance(100).then(() => shell.logLines.find((line) => line.includes('"ending":"client-too-slow"'))));

  it('of a client that takes nothing for 10 s is cut off; it goes on after the last id it got', async () => {
    const data = JSON.stringify('x'.repeat(200_000));
    for (let index = 0; index < 100; index += 1) await publish('a.big', { data });
    const { socket, text } = await rawStream('&from=0');
    socket.pause();
    await eventually('a full pipe', () => socket.readableLength > 0 || undefined);
    await shell.clock.advance(9_999);
    expect(shell.logLines.join('')).not.toContain('event stream');
    await cutOff();
    socket.resume();
    await once(socket, 'close');
    const last = text().split('\n\n').slice(0, -1).flatMap((message) => /^id: (\d+)$/m.exec(message)?.[1] ?? []).at(-1) ?? '';
    expect(Number(last)).toBeLessThan(100);
    expect((await listen(`&from=${last}`).has(101 - Number(last))).slice(1).map(({ id }) => Number(id))).toEqual(Array.from({ length: 100 - Number(last) }, (_, index) => Number(last) + 1 + index));
  });

  it('reads the log no faster than its client takes it', async () => {
    const data = JSON.stringify('x'.repeat(200_000));
    for (let index = 0; index < 300; index += 1) await publish('a.big', { data });
    let reads = 0;
    const readAll = store.readAll.bind(store);
    store.readAll = (...asked): Promise<EventBatch> => ((reads += asked[1]?.prefixes[0] === 'event-acme.production.' ? 1 : 0), readAll(...asked));
    const { socket } = await rawStream('&from=0');
    socket.pause();
    await cutOff();
    // One event each, as many as are on their way.
    expect(reads).toBeLessThan(100);
  });

  it('of a client that has left is over', async () => {
    const { socket } = await rawStream('');
    socket.destroy();
    await eventually('its end', () => shell.logLines.find((line) => line.includes('"ending":"client-left"')));
  });

  /** Streams wait for the end of the log, which they begin with, until they are let go on. */
  function held(): { readonly waiting: () => Promise<unknown>; readonly goOn: () => void } {
    const head = store.head.bind(store);
    const { promise, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    store.head = () => ((asked += 1), promise.then(head));
    return { waiting: () => eventually('the question where the log ends', () => asked > 0 || undefined), goOn: resolve };
  }

  it('of a client that left before it began is over too', async () => {
    const { waiting, goOn } = held();
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    socket.write(`GET /api/events/stream?siteId=acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${rootKeyText}\r\n\r\n`);
    await waiting();
    socket.destroy();
    await eventually('no connection', async () => (await connections()) === 0 || undefined);
    goOn();
    await eventually('its end', () => shell.logLines.find((line) => line.includes('"ending":"client-left"')));
  });

  /** The first key that was made is good no more. */
  function revoke(): void {
    const [id = ''] = shell.keys.keys();
    shell.keys.set(id, { ...shell.keys.get(id)!, revokedAtMs: 1 });
    shell.commit({ position: '9', events: [{ id: uuid(), type: 'ApiKeyRevoked', data: '{}', metadata: {}, stream: `apikey-acme.production.${id}`, revision: 1, position: '9' }] });
  }

  it('ends with its key: revoked', async () => {
    const key = shell.key(['site:acme:read']);
    const [mine, other] = [listen('', { key }), listen()];
    await Promise.all([mine.has(1), other.has(1)]);
    revoke();
    await mine.ended;
    await publish('a.b');
    expect([mine.messages.length, (await other.has(2)).length]).toEqual([1, 2]);
  });

  it('ends with its key: revoked while it was about to begin', async () => {
    const { waiting, goOn } = held();
    const listening = listen('', { key: shell.key(['site:acme:read']) });
    await waiting();
    revoke();
    goOn();
    await listening.ended;
    expect(shell.logLines.join('')).toContain('"ending":"key-refused"');
  });

  it('ends with its key: expired', async () => {
    const listening = listen('', { key: shell.key(['site:acme:read'], { expiresOnMs: shell.clock.now() + 20_000 }) });
    await listening.has(1);
    await shell.clock.advance(15_000);
    await publish('a.b');
    await listening.has(2);
    await shell.clock.advance(15_000);
    await listening.ended;
  });

  it('ends when it can not be known whether its key was revoked', async () => {
    const listening = listen('', { key: shell.key(['site:acme:read']) });
    await listening.has(1);
    shell.projections = shell.projections.map((status) => ({ ...status, behindMs: 6_000 }));
    await shell.clock.advance(15_000);
    await listening.ended;
  });

  it('does not hold up the stop of the server', async () => {
    const listening = [listen(), listen(), listen()];
    await Promise.all(listening.map((one) => one.has(1)));
    stopped = true;
    await shell.close();
    await Promise.all(listening.map(({ ended }) => ended));
    expect(shell.logLines.filter((line) => line.includes('"ending":"server-stopping"'))).toHaveLength(3);
  });

  it('ends, with a line in the log, when the log can not be read any more', async () => {
    const listening = listen();
    await listening.has(1);
    await store.close();
    await listening.ended;
    expect(shell.logLines.join('')).toContain('event stream failed');
  });

  it(`is refused while ${limits.eventStreams} others are open`, async () => {
    const listening = Array.from({ length: limits.eventStreams }, () => listen());
    await Promise.all(listening.map((one) => one.has(1)));
    const { status, headers, body } = await shell.send('GET', '/api/events/stream?siteId=acme');
    expect([status, headers['retry-after'], body['type']]).toEqual([503, '15', 'https://countersign.dev/problems/too-many-streams']);
    listening[0]?.leave();
    await eventually('a free place', () => shell.logLines.find((line) => line.includes('"ending":"client-left"')));
    await listen().has(1);
  });
});

describe('many idle streams', () => {
  it('of ever new sites are forgotten, and who still waits asks again', async () => {
    const arrivals = new Arrivals(store);
    const place = (environment: string): Site => ({ tenant: 'acme', environment });
    const first = await arrivals.of(place('first'));
    for (let index = 1; index < mostSites; index += 1) await arrivals.of(place(`e${index}`));
    expect([await arrivals.of(place('first')), first.count]).toEqual([first, 0]);
    await arrivals.of(place('one-more'));
    const again = await arrivals.of(place('first'));
    expect([again === first, first.count, again.count]).toEqual([false, 1, 0]);
    await publish('a.b', { site: 'acme.first' });
    await eventually('word of it', () => again.count > 0 || undefined);
  });


  it('share one reader of the log: an event of another site wakes none of them', async () => {
    let reads = 0;
    const readAll = store.readAll.bind(store);
    store.readAll = (...asked): Promise<EventBatch> => ((reads += asked[1]?.prefixes[0] === 'event-acme.production.' ? 1 : 0), readAll(...asked));
    const idle = Array.from({ length: 50 }, () => listen());
    await Promise.all(idle.map((one) => one.has(1)));
    await eventually('all at the end of the log', () => reads === 50 || undefined);
    for (let index = 0; index < 100; index += 1) await publish('a.b', { site: 'other' });
    expect(reads).toBe(50);
    await publish('a.b');
    await Promise.all(idle.map((one) => one.has(2)));
    expect(reads).toBe(100);
  });
});
