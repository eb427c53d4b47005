import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type FakeApi, kf, startFakeApi } from '../../test/support/kf.ts';

let api: FakeApi;
beforeEach(async () => {
  api = await startFakeApi();
});
afterEach(() => api.close());

const held = (...roles: readonly string[]): readonly object[] => roles.map((role) => ({ role, state: 'HELD', why: null }));
const saga = (name: string, behindMs = 0): object => ({ name, position: '42', behindMs });
const range = (first: number, last: number): readonly number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index);

const projections = [{ name: 'keys', state: 'RUNNING', position: '42', behindMs: 0, poison: null }];
const own = { id: 'p1', process: 'kf-1 (process 7)', version: '0.1.0', startedAt: '2026-11-02T09:00:00Z', ageMs: 0, status: 'READY', because: [], position: '42', behindMs: 0, roles: held('api', 'sagas', 'dispatcher'), sagas: [saga('fan-out'), saga('recoveries')], partitions: range(0, 63) };
const alone = {
  status: 'READY', because: [], version: '0.1.0', startedAt: '2026-11-02T09:00:00Z', roles: ['api', 'sagas', 'dispatcher'], position: '42', scheduledUpTo: '42', openDeliveries: 3,
  coordination: { by: 'none', unheard: null }, processes: [own], unowned: { sagas: [], partitions: [] }, projections,
};

async function shown(body: object): Promise<readonly string[]> {
  api.answers('GET /api/status', { body });
  const { out } = await kf(['status'], { server: api.url, tty: { stdout: true } });
  return out.trimEnd().split('\n');
}

describe('kf status of one process', () => {
  it('says in one line how it is, then the facts and the read models, and nothing of processes', async () => {
    expect(await shown(alone)).toEqual([
      'READY: read models 0 ms behind; 3 deliveries open',
      '',
      'Version          0.1.0',
      'Started at       2026-11-02 10:00:00 +01:00',
      'Roles            api, sagas, dispatcher',
      'Position         42',
      'Scheduled up to  42',
      'Open deliveries  3',
      '',
      'NAME  STATE    POSITION  BEHIND  STOPPED AT',
      'keys  RUNNING  42        0 ms    -',
    ]);
  });

  it('says it without what a key may not know', async () => {
    const lines = await shown({ ...alone, openDeliveries: null, coordination: null, processes: null, unowned: null, projections: [{ ...projections[0], behindMs: 61_400 }] });
    expect(lines[0]).toBe('READY: read models 61 s behind');
    expect((await shown({ ...alone, openDeliveries: 1 }))[0]).toBe('READY: read models 0 ms behind; 1 delivery open');
    expect(lines).toContain('Open deliveries  -');
    expect(lines.join()).not.toMatch(/undefined|null|Shared|Other/);
  });

  it('says why it is not ready, and what is not done', async () => {
    const because = ['the read model keys has stopped', 'it waits until 2026-11-02T09:00:00Z'];
    const [first] = await shown({ ...alone, status: 'NOT_READY', because, processes: [{ ...own, behindMs: 7_000.4 }], unowned: { sagas: ['fan-out', 'recoveries'], partitions: [1, 0, 2, 40, 62, 63] } });
    expect(first).toBe('NOT_READY: the read model keys has stopped; it waits until 2026-11-02 10:00:00 +01:00; nobody runs fan-out, recoveries; nobody sends to partitions 0-2, 40, 62-63; read models 7000 ms behind; 3 deliveries open');
  });

  it('says when there may be others of whom nothing is heard', async () => {
    const lines = await shown({ ...alone, coordination: { by: 'log', unheard: 'processes that share a log hear of each other only through Redis' }, unowned: null });
    expect(lines).toEqual(expect.arrayContaining(['Shared by        claims of roles in the log', 'Other processes  not known: processes that share a log hear of each other only through Redis']));
  });

  it('says what is suspended and why, though it is ready and hears of no other', async () => {
    const why = 'Redis at redis:6379: connect ECONNREFUSED';
    const roles = [...held('api'), ...['sagas', 'dispatcher'].map((role) => ({ role, state: 'SUSPENDED', why }))];
    const lines = await shown({ ...alone, coordination: { by: 'redis', unheard: why }, processes: [{ ...own, roles, sagas: [], partitions: [] }], unowned: null });
    expect(lines[0]).toBe('READY: sagas and dispatcher suspended; read models 0 ms behind; 3 deliveries open');
    expect(lines).toContainEqual(expect.stringMatching(/^kf-1 \(process 7\)  READY   api, sagas \(suspended\), dispatcher \(suspended\)  -/));
    expect(lines.filter((line) => line === `kf-1 (process 7): ${why}`)).toHaveLength(1);
  });

  it('passes the answer on as it is with --json, and prints READY or NOT_READY alone with --quiet', async () => {
    api.answers('GET /api/status', { body: alone }, { body: alone });
    expect(JSON.parse((await kf(['status', '--json'], { server: api.url })).out)).toEqual(alone);
    expect((await kf(['status', '--quiet'], { server: api.url })).out).toBe('READY\n');
  });

  it('takes no arguments', async () => {
    expect((await kf(['status', 'now'], { server: api.url })).code).toBe(2);
    expect(api.requests).toHaveLength(0);
  });
});

describe('kf status of several processes', () => {
  const waiting = { role: 'dispatcher', state: 'WAITING', why: 'its read models have not caught up yet' };
  const others = [
    { ...own, id: 'p2', process: 'kf-2 (process 7)', ageMs: 1_800, position: '41', behindMs: 12.6, sagas: [saga('fan-out', 4)], partitions: range(32, 62) },
    { ...own, id: 'p3', process: 'kf-3 (process 9)', version: '0.2.0', ageMs: 12_400, status: 'NOT_READY', because: ['the read model deliveries is 90 s behind'], position: '7', behindMs: 90_000, roles: [...held('api'), waiting], sagas: [], partitions: [] },
  ];
  const body = {
    ...alone, openDeliveries: 120, coordination: { by: 'redis', unheard: null }, unowned: { sagas: ['operational-events'], partitions: [63] },
    processes: [{ ...own, sagas: [saga('recoveries')], partitions: range(0, 31) }, ...others],
  };

  it('shows which there are, what each does and how far it is, what keeps it from its work, and who runs which saga', async () => {
    expect(await shown(body)).toEqual([
      'READY: 3 processes, 1 of them not ready; nobody runs operational-events; nobody sends to partition 63; read models 90 s behind; 120 deliveries open',
      '',
      'Position         42',
      'Scheduled up to  42',
      'Open deliveries  120',
      'Shared by        leases in Redis',
      '',
      'PROCESS           STATUS     ROLES                      PARTITIONS  SAGAS  POSITION  BEHIND  HEARD     VERSION',
      'kf-1 (process 7)  READY      api, sagas, dispatcher     0-31        1      42        0 ms    answers   0.1.0',
      'kf-2 (process 7)  READY      api, sagas, dispatcher     32-62       1      41        13 ms   2 s ago   0.1.0',
      'kf-3 (process 9)  NOT_READY  api, dispatcher (waiting)  -           0      7         90 s    12 s ago  0.2.0',
      '',
      'kf-3 (process 9): the read model deliveries is 90 s behind',
      'kf-3 (process 9): its read models have not caught up yet',
      '',
      'SAGA                PROCESS           POSITION  BEHIND',
      'fan-out             kf-2 (process 7)  42        4 ms',
      'operational-events  nobody            -         -',
      'recoveries          kf-1 (process 7)  42        0 ms',
      '',
      'NAME  STATE    POSITION  BEHIND  STOPPED AT',
      'keys  RUNNING  42        0 ms    -',
    ]);
  });

  it('says a reason once', async () => {
    const because = [`this process does not do the work of the role dispatcher: ${waiting.why}`];
    const lines = await shown({ ...body, processes: [own, { ...others[1], because }] });
    expect(lines.filter((line) => line.includes(waiting.why))).toEqual([`kf-3 (process 9): ${because[0]}`]);
  });

  it('shows no control characters that a process has said', async () => {
    const lines = await shown({ ...body, processes: [own, { ...others[1], process: 'kf\u001b[2J', because: ['\u001b[2J'] }] });
    expect(lines.join()).not.toContain('\u001b');
  });
});
