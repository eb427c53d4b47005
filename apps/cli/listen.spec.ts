import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { type FakeApi, kf, type KfOptions, type KfRun, problem, type Scripted, startFakeApi, words } from '../../test/support/kf.ts';
import { type Answer, type HttpReceiver, startReceiver, systemClock } from '../../test/support/webhook-receivers.ts';
import { messageText } from '../server/http/event-stream.ts';

let api: FakeApi;
let application: HttpReceiver;
let answer: Answer;
beforeEach(async () => {
  api = await startFakeApi();
  answer = (response) => response.end('ok');
  application = await startReceiver((response, request) => answer(response, request));
});
afterEach(() => Promise.all([api.close(), application.close()]));

const bodyOf = (position: number): string => `{"id":"evt_${position}","type":"version.published","timestamp":"2026-11-02T10:00:00.000Z","tenant":"acme","environment":"production","data":{"n":1.0,\r\n"größe":${position}}}`;

/** A stream with these events, which the server then ends. */
const streaming = (...positions: readonly number[]): Scripted => ({
  headers: { 'content-type': 'text/event-stream' },
  text: [messageText({ event: 'connected', id: '0', data: '{"siteId":"acme","position":"0","events":null}' }), ...positions.map((position) => messageText({ event: 'event', id: String(position), data: bodyOf(position) }))].join(': keep-alive\n\n'),
});
const stream = 'GET /api/events/stream';
const lineOf = (position: number, more: object = {}): object => ({ position: String(position), eventId: `evt_${position}`, type: 'version.published', status: 200, latencyMs: expect.any(Number), ...more });

const listen = (flags = '', options: KfOptions = {}): Promise<KfRun> => kf([...words(`listen --site acme --output jsonl --forward-to ${application.url} ${flags}`)], { server: api.url, ...options });

/** Listens until so many lines are written, then interrupts. */
function interruptedAfter(lines: number, flags = '', options: KfOptions = {}): Promise<KfRun> {
  const interrupt = new AbortController();
  let written = 0;
  return listen(flags, { ...options, signal: interrupt.signal, onOut: () => ((written += 1) === lines ? interrupt.abort() : undefined) });
}
const linesOf = ({ out }: KfRun): readonly unknown[] => out.split('\n').slice(0, -1).map((line) => JSON.parse(line) as unknown);
const askedFrom = (): readonly (string | null)[] => api.requests.map(({ url }) => new URL(url, api.url).searchParams.get('from'));

describe('kf listen', () => {
  it('posts each event with the body and the headers of a delivery, in order, and says what was answered', async () => {
    api.answers(stream, streaming(4, 7, 9));
    const run = await interruptedAfter(3);
    expect([run.code, linesOf(run)]).toEqual([0, [lineOf(4), lineOf(7), lineOf(9)]]);
    const secret = /^Signing secret of this session: (whsec_\S+)$/m.exec(run.err)?.[1] ?? '';
    const { headers } = application.requests[0] ?? { headers: {} };
    expect(headers).toMatchObject({ 'content-type': 'application/json', 'accept-encoding': 'identity', 'user-agent': 'Countersign/9.9.9', 'webhook-id': 'evt_4', 'roost-signature': expect.stringMatching(/^t=\d+,v1=[0-9a-f]{64}$/) });
    expect(application.requests.map(({ body }) => body)).toEqual([bodyOf(4), bodyOf(7), bodyOf(9)]);
    expect(run.err).toContain('3 forwarded, 3 of them answered with 2xx. Go on with --from 9\n');
    expect(secret).toMatch(/^whsec_/);
  });

  it('signs with the secret given, which any library accepts', async () => {
    const secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
    api.answers(stream, streaming(4));
    const { err } = await interruptedAfter(1, '--secret-stdin', { stdin: `${secret}\n`, clock: systemClock });
    const [{ headers, body }] = application.requests as [HttpReceiver['requests'][number]];
    expect(() => new Webhook(secret).verify(body, headers as Record<string, string>)).not.toThrow();
    expect(err).not.toContain('whsec_');
  });

  it('asks for what is wanted', async () => {
    api.answers(stream, streaming());
    await listen('--events version.*,claim.** --from 3');
    expect(api.requests[0]?.url).toBe('/api/events/stream?siteId=acme&events=version.*%2Cclaim.**&from=3');
  });

  it('is the same verb below webhook', async () => {
    api.answers(stream, streaming(4));
    const interrupt = new AbortController();
    const run = await kf(words(`webhook listen --site acme --json --forward-to ${application.url}`), { server: api.url, signal: interrupt.signal, onOut: () => interrupt.abort() });
    expect([run.code, linesOf(run)]).toEqual([0, [lineOf(4)]]);
  });

  it('does not send an event before the one before is answered', async () => {
    let open = 0;
    const together: number[] = [];
    answer = (response) => {
      together.push((open += 1));
      setTimeout(() => {
        open -= 1;
        response.end();
      }, 5);
    };
    api.answers(stream, streaming(1, 2, 3, 4, 5));
    await interruptedAfter(5);
    expect(together).toEqual([1, 1, 1, 1, 1]);
  });

  it('writes a line after the answer, and none for an event that was not answered when it is interrupted', async () => {
    const interrupt = new AbortController();
    answer = (response, { headers }) => (headers['webhook-id'] === 'evt_2' ? interrupt.abort() : response.end());
    api.answers(stream, streaming(1, 2, 3));
    const run = await listen('', { signal: interrupt.signal });
    expect([run.code, linesOf(run), run.err.includes('Go on with --from 1\n')]).toEqual([0, [lineOf(1)], true]);
  });

  it('goes on when the application fails, and says how', async () => {
    answer = (response, { headers }) => {
      if (headers['webhook-id'] === 'evt_1') response.writeHead(500).end();
      else if (headers['webhook-id'] === 'evt_2') response.writeHead(302, { location: '/elsewhere' }).end();
      else if (headers['webhook-id'] === 'evt_3') response.destroy();
      else response.end();
    };
    api.answers(stream, streaming(1, 2, 3, 4));
    const run = await interruptedAfter(4);
    expect(linesOf(run)).toEqual([lineOf(1, { status: 500 }), lineOf(2, { status: 302 }), lineOf(3, { status: null, error: expect.stringContaining('connection-lost') }), lineOf(4)]);
    expect(run.err).toContain('4 forwarded, 1 of them answered with 2xx.');
    expect(application.requests).toHaveLength(4);
  });

  it('says so when nothing listens there', async () => {
    await application.close();
    api.answers(stream, streaming(1));
    expect(linesOf(await interruptedAfter(1))).toEqual([lineOf(1, { status: null, error: 'connect-refused' })]);
    application = await startReceiver();
  });

  it('connects again after the last position, and forwards nothing twice', async () => {
    api.answers(stream, streaming(1, 2), { drops: true }, problem('store-unavailable', 503), streaming(2, 3), streaming(), streaming(4));
    const run = await interruptedAfter(4);
    expect([linesOf(run), askedFrom()]).toEqual([[lineOf(1), lineOf(2), lineOf(3), lineOf(4)], [null, '2', '2', '2', '3', '3']]);
  });

  it('that saw no event yet goes on from where it began', async () => {
    api.answers(stream, streaming(), streaming(1));
    await interruptedAfter(1);
    expect(askedFrom()).toEqual([null, '0']);
  });

  it.each([
    ['unauthenticated', 401],
    ['forbidden', 403],
    ['not-found', 404],
    ['position-unknown', 400],
  ])('ends with 1 when the server says %s', async (slug, status) => {
    api.answers(stream, streaming(1), problem(slug, status));
    const run = await listen();
    expect([run.code, linesOf(run), api.requests.length, run.err.includes(`(${slug}, ${status})`)]).toEqual([1, [lineOf(1)], 2, true]);
  });

  it('ends with 1 when the server can not be reached at first', async () => {
    api.answers(stream, { drops: true });
    expect((await listen()).code).toBe(1);
  });

  it('shows a line for a person on a terminal', async () => {
    api.answers(stream, streaming(41));
    const interrupt = new AbortController();
    const run = await kf(words(`listen --site acme --forward-to ${application.url}`), { server: api.url, tty: { stdout: true }, signal: interrupt.signal, onOut: () => interrupt.abort() });
    expect(run.out).toMatch(/^2026-11-02 11:00:00 \+01:00 {8}41 {2}200 +0 ms {2}version\.published {2}evt_41\n$/);
  });

  it('with --quiet prints positions, and still the secret', async () => {
    api.answers(stream, streaming(4, 7));
    const run = await interruptedAfter(2, '--quiet');
    expect([run.out, run.err]).toEqual(['4\n7\n', expect.stringMatching(/^Signing secret of this session: whsec_\S+\n$/)]);
  });

  it.each([
    ['', ['--forward-to <url> is required']],
    ['--forward-to file:///x', ['--forward-to: expected an http: or https: URL']],
    ['--forward-to http://127.0.0.1 --events Version', ['--events: expected a pattern']],
    ['--forward-to http://127.0.0.1 --from -1 --expect 0 --timeout x', ['--from: expected a position', '--expect: expected a whole number', '--timeout: expected a whole number']],
  ])('%p is a usage error, and nothing is sent', async (flags, issues) => {
    const { code, err } = await kf(words(`listen --site acme ${flags}`), { server: api.url });
    expect([code, api.requests]).toEqual([2, []]);
    for (const issue of issues) expect(err).toContain(issue);
  });

  it('a secret that is none is a usage error that does not repeat it', async () => {
    const { code, err } = await listen('--secret-stdin', { stdin: 'hunter2\n' });
    expect([code, api.requests, err.includes('hunter2')]).toEqual([2, [], false]);
  });
});

describe('kf listen as a test tool', () => {
  it('ends with 0 when so many events were answered with 2xx, and forwards no more', async () => {
    answer = (response, { headers }) => response.writeHead(headers['webhook-id'] === 'evt_2' ? 500 : 204).end();
    api.answers(stream, streaming(1, 2, 3, 4, 5));
    const run = await listen('--expect 3', { clock: systemClock });
    expect([run.code, linesOf(run).length, application.requests.length]).toEqual([0, 4, 4]);
  });

  it('ends with 1 when the time is over before', async () => {
    api.answers(stream, streaming(1, 2), { hangs: true });
    const run = await listen('--expect 3 --timeout 2', { clock: systemClock });
    expect([run.code, linesOf(run).length]).toEqual([1, 2]);
    expect(run.err).toContain('error: 2 of 3 expected events were answered with 2xx within 2 s\n');
  });

  it('ends with 1 when the time is over while the application thinks', async () => {
    answer = () => undefined;
    api.answers(stream, streaming(1));
    const run = await listen('--expect 1 --timeout 1', { clock: systemClock });
    expect([run.code, run.out, run.err.includes('0 of 1 expected')]).toEqual([1, '', true]);
  });

  it('without --expect ends with 0 when the time is over', async () => {
    api.answers(stream, { hangs: true });
    expect((await listen('--timeout 1', { clock: systemClock })).code).toBe(0);
  });
});
