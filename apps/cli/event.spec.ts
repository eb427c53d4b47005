import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { limits } from '#contracts';
import { type FakeApi, kf, startFakeApi, words } from '../../test/support/kf.ts';

const line = 'event publish --tenant tnt_demo --actor-type SERVICE --actor-id registry --type version.published';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());
const last = (): FakeApi['requests'][number] => api.requests.at(-1)!;

describe('kf event publish', () => {
  it.each(['{"n":9007199254740993,"x":1.0}', '{ "b" : 1,\n "a" : "\\u00e9" }', '-0.0', '"text"', 'null', '[1e400]'])('sends the data %s byte for byte', async (data) => {
    const { code } = await kf([...words(line), '--data', data], { server: api.url });
    expect(code).toBe(0);
    expect(last().url).toBe('/api/commands/PublishEvent');
    expect(last().text).toContain(`"data":${data}}`);
  });

  it('reads the data from standard input, without the white space around it', async () => {
    expect((await kf([...words(line), '--data-stdin'], { server: api.url, stdin: ' {"n":1.0}\r\n' })).code).toBe(0);
    expect(last().text).toContain('"payload":{"type":"version.published","data":{"n":1.0}}');
  });

  it('makes the event id the idempotency key', async () => {
    await kf([...words(line), '--data', '{}', '--event-id', 'claim:4711'], { server: api.url });
    expect(last().headers['idempotency-key']).toBe('claim:4711');
    expect(last().body).toMatchObject({ payload: { eventId: 'claim:4711' } });
  });

  it('leaves the event id to the idempotency key when only that is given', async () => {
    await kf([...words(line), '--data', '{}', '--idempotency-key', 'k1'], { server: api.url });
    expect(last().headers['idempotency-key']).toBe('k1');
    expect(last().body['payload']).toEqual({ type: 'version.published', data: {} });
  });

  it('makes an id that sorts by time, and prints it, when none is given', async () => {
    const { err } = await kf([...words(line), '--data', '{}'], { server: api.url });
    expect(last().headers['idempotency-key']).toMatch(/^evt_[0-9a-z]{26}$/);
    expect(err).toContain(String(last().headers['idempotency-key']));
  });

  it.each([
    ['no data', [], 'either --data <json> or --data-stdin'],
    ['data twice', ['--data', '{}', '--data-stdin'], 'either --data <json> or --data-stdin'],
    ['malformed JSON', ['--data', '{a:1}'], '--data: expected JSON text'],
    ['two JSON values', ['--data', '{} {}'], '--data: expected JSON text'],
    ['malformed JSON on standard input', ['--data-stdin'], '--data-stdin: expected JSON text'],
    ['two different ids', ['--data', '{}', '--event-id', 'a', '--idempotency-key', 'b'], '--event-id and --idempotency-key are the same thing'],
    ['a type with a blank', ['--type', 'version published', '--data', '{}'], '--type: expected a dotted event type'],
    ['an id with a blank', ['--data', '{}', '--event-id', 'a b'], '--event-id: expected'],
  ])('refuses %s and sends nothing', async (_case, flags, message) => {
    const { code, err } = await kf([...words(line), ...flags], { server: api.url, stdin: '{' });
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(api.requests).toHaveLength(0);
  });

  it('refuses data that is no UTF-8 text, and data over the limit', async () => {
    const bytes = await kf([...words(line), '--data-stdin'], { server: api.url, stdin: Buffer.from([0x22, 0xff, 0x22]) });
    expect(bytes).toMatchObject({ code: 2, err: expect.stringContaining('--data-stdin: expected UTF-8 text') });
    const exact = `"${'x'.repeat(limits.eventDataBytes - 2)}"`;
    expect((await kf([...words(line), '--data-stdin'], { server: api.url, stdin: exact })).code).toBe(0);
    const over = await kf([...words(line), '--data-stdin'], { server: api.url, stdin: `${exact.slice(0, -1)}x"` });
    expect(over).toMatchObject({ code: 2, err: expect.stringContaining('expected at most 262144') });
    expect(api.requests).toHaveLength(1);
  });
});
