import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { refuse } from '#kernel';
import type { ProjectionStatus } from '#read-models';
import { alone, type Shell, startShell } from '../../../test/support/http-shell.ts';
import { reportOf } from '../../../test/support/process-board-contract.ts';
import type { Sharing } from '../parts.ts';
import { welcome } from '../welcome.ts';

async function withShell(overrides: Parameters<typeof startShell>[0], use: (shell: Shell) => Promise<void>): Promise<void> {
  const shell = await startShell(overrides);
  try {
    await use(shell);
  } finally {
    await shell.close();
  }
}

const keys: ProjectionStatus = { name: 'api-keys', state: 'RUNNING', position: '10', behindMs: 0, poison: null };
const poisoned: ProjectionStatus = { ...keys, name: 'events', state: 'STOPPED', poison: { position: '4', eventId: 'e', error: 'hunter2 is no JSON' } };
const facts = { version: '1', startedAtMs: 0, roles: ['api'], stopping: false, troubles: () => [] as string[], openDeliveries: () => Promise.resolve(3), fanOut: () => undefined, sharing: alone };

const neverAsked = { approval: () => Promise.resolve(undefined), policy: () => Promise.reject(new Error()), command: () => Promise.resolve(undefined), subscription: () => Promise.resolve(undefined), delivery: () => Promise.resolve(undefined), recovery: () => Promise.resolve(undefined), wireBody: () => Promise.resolve(null) };

describe('health', () => {
  const ready = ({ send }: Shell) => send('GET', '/health/ready', { key: null });

  it('live says that the process runs, ready that it can do its work', async () => {
    await withShell({}, async (shell) => {
      expect((await shell.send('GET', '/health/live', { key: null })).body).toEqual({ status: 'ok' });
      expect((await ready(shell)).body).toEqual({ status: 'ok' });
    });
  });

  it('is not ready while a read model is more than 5 s behind or has stopped', async () => {
    await withShell({}, async (shell) => {
      for (const status of [{ ...keys, behindMs: 5_001 }, poisoned]) {
        shell.projections = [status];
        expect([(await ready(shell)).status, (await ready(shell)).body['because']]).toEqual([503, [expect.stringContaining(status.name)]]);
      }
      shell.projections = [{ ...keys, state: 'REBUILDING' }];
      expect((await ready(shell)).status).toBe(200);
    });
  });

  it('is not ready while the server stops, or a role is not under way', async () => {
    await withShell({ facts: { ...facts, stopping: true } }, async (shell) => expect((await ready(shell)).status).toBe(503));
    await withShell({ facts: { ...facts, troubles: () => ['the dispatcher is starting'] } }, async (shell) => expect((await ready(shell)).body['because']).toEqual(['the dispatcher is starting']));
  });

  it('is not ready when the store does not answer within 2 s', async () => {
    await withShell({ current: { ...neverAsked, head: () => new Promise<string>(() => undefined) } }, async (shell) => {
      const asked = ready(shell);
      for (let turn = 0; turn < 20; turn += 1) await shell.clock.advance(200);
      const { status, body } = await asked;
      expect([status, body['type']]).toEqual([503, 'https://countersign.dev/problems/store-unavailable']);
    });
  });
});

describe('the status', () => {
  const sharing: Sharing = {
    by: 'redis',
    own: { id: 'one', process: 'kf-1 (process 7)' },
    all: { sagas: ['fan-out', 'recoveries', 'operational-events'], partitions: [0, 1, 2, 3, 4, 5] },
    doing: () => ({ roles: [{ role: 'api', state: 'HELD', why: null }, { role: 'dispatcher', state: 'WAITING', why: 'hunter3 has it' }], sagas: [{ name: 'recoveries', position: '9', behindMs: 20 }], partitions: [0, 2] }),
    others: () => [{ ...reportOf('two', { sagas: [{ name: 'fan-out', position: '8', behindMs: 0 }], partitions: [3, 5] }), ageMs: 1_200 }],
    unheard: () => null,
  };
  const status = async ({ send }: Shell, key?: string): Promise<Readonly<Record<string, unknown>>> => (await send('GET', '/api/status', key === undefined ? {} : { key })).body;

  it('tells every key how the server is doing and why it is not ready, and what poisoned a read model, how much is open in all sites and which processes there are to administrators only', async () => {
    await withShell({ facts: { ...facts, sharing } }, async (shell) => {
      const key = shell.key(['site:acme:read']);
      shell.projections = [keys, poisoned];
      const { status: code, body, text } = await shell.send('GET', '/api/status', { key });
      expect(code).toBe(200);
      expect(body).toMatchObject({ status: 'NOT_READY', because: ['the read model events has stopped'], version: '1', startedAt: '1970-01-01T00:00:00.000Z', roles: ['api'], position: '10', scheduledUpTo: '8' });
      expect(body).toMatchObject({ openDeliveries: null, coordination: null, processes: null, unowned: null });
      expect(text).not.toMatch(/hunter|kf-1|two/);
      expect((await status(shell))['openDeliveries']).toBe(3);
      expect((await shell.send('GET', '/api/projections')).body['items']).toEqual([keys, poisoned]);
    });
  });

  it('shows administrators this process first, then the others as they were last heard of, and the work that nobody does', async () => {
    await withShell({ facts: { ...facts, sharing } }, async (shell) => {
      shell.projections = [{ ...keys, position: '11', behindMs: 4 }, { ...keys, name: 'events', position: '9', behindMs: 30.5 }];
      const { coordination, processes, unowned } = await status(shell);
      expect(coordination).toEqual({ by: 'redis', unheard: null });
      expect(processes).toEqual([
        {
          id: 'one', process: 'kf-1 (process 7)', version: '1', startedAt: '1970-01-01T00:00:00.000Z', ageMs: 0, status: 'READY', because: [], position: '9', behindMs: 30.5,
          roles: [{ role: 'api', state: 'HELD', why: null }, { role: 'dispatcher', state: 'WAITING', why: 'hunter3 has it' }],
          sagas: [{ name: 'recoveries', position: '9', behindMs: 20 }],
          partitions: [0, 2],
        },
        expect.objectContaining({ id: 'two', process: 'two.example (process 12)', ageMs: 1_200, status: 'READY', partitions: [3, 5] }),
      ]);
      expect(unowned).toEqual({ sagas: ['operational-events'], partitions: [1, 4] });
    });
  });

  it('does not call work unowned that a process may do of which nothing is heard', async () => {
    const unheard = 'Redis at 127.0.0.1:6379: connect ECONNREFUSED';
    await withShell({ facts: { ...facts, sharing: { ...sharing, others: () => [], unheard: () => unheard } } }, async (shell) => {
      const body = await status(shell);
      expect(body).toMatchObject({ coordination: { by: 'redis', unheard }, processes: [{ id: 'one' }], unowned: null, scheduledUpTo: null });
    });
  });

  it('calls it unowned where there is no other process', async () => {
    await withShell({ facts }, async (shell) => {
      expect(await status(shell)).toMatchObject({ coordination: { by: 'none', unheard: null }, processes: [{ process: 'here (process 1)' }], unowned: { sagas: ['fan-out'], partitions: [0, 1, 2, 3] } });
    });
  });

  it('answers also when there is no store to ask, and says so', async () => {
    await withShell({ facts, current: { ...neverAsked, head: () => Promise.reject(new Error('away')) } }, async (shell) => {
      expect(await status(shell)).toMatchObject({ status: 'NOT_READY', because: ['the event store does not answer'], position: null, processes: [{ status: 'NOT_READY', because: ['the event store does not answer'] }] });
    });
  });
});

describe('a rebuild', () => {
  it('is begun for a read model of that name, one at a time', async () => {
    const rebuilt: string[] = [];
    const answers = [{ done: Promise.resolve() }, refuse('concurrent-modification', 'events is being rebuilt.'), refuse('not-found', 'There is none.')] as const;
    const projections = {
      status: () => [keys],
      onCommitted: () => () => undefined,
      waitFor: () => Promise.resolve('reached' as const),
      replay: () => refuse('concurrent-modification', 'Another replay runs.'),
      rebuild: (name: string) => answers[rebuilt.push(name) - 1] ?? { done: Promise.resolve() },
    };
    await withShell({ projections }, async ({ send }) => {
      const rebuild = () => send('POST', '/api/projections/api-keys/rebuild');
      expect((await rebuild()).body).toEqual(keys);
      expect([(await rebuild()).status, (await rebuild()).status]).toEqual([409, 404]);
    });
    expect(rebuilt).toEqual(['api-keys', 'api-keys', 'api-keys']);
  });
});

describe('the first words of the server', () => {
  it('say where it listens, where the root key is and what to try, and no key', () => {
    const text = welcome({ isCheckout: true, url: 'http://127.0.0.1:9090', rootKeyFile: '/srv/data/root.key', version: '1.2.3', config: { dataDir: '/srv/data', roles: ['api', 'sagas'], allowTargets: [], port: 9090 } });
    for (const part of ['http://127.0.0.1:9090', '/srv/data/root.key', '1.2.3', 'api, sagas', '  KF_DATA_DIR=/srv/data npx kf --server http://127.0.0.1:9090 whoami', 'KF_ALLOW_TARGETS=loopback']) expect(text).toContain(part);
    expect(text).not.toContain('kf_root_');
  });

  it('are as short as can be where everything is where kf looks for it', () => {
    const text = welcome({ isCheckout: true, url: 'http://127.0.0.1:8080', rootKeyFile: resolve('data/root.key'), version: '1.2.3', config: { dataDir: resolve('data'), roles: ['api'], allowTargets: ['loopback'], port: 8080 } });
    expect(text).toContain('\n  npx kf whoami\n');
    expect(text).toContain('root key  data/root.key\n');
  });

  it('name what there is in a container: kf, with the environment of the server, and no npm', () => {
    const text = welcome({ isCheckout: false, url: 'http://127.0.0.1:8080', rootKeyFile: '/data/root.key', version: '1.2.3', config: { dataDir: '/data', roles: ['api'], allowTargets: ['loopback'], port: 8080 } });
    expect(text).toContain('(docker exec):\n  kf whoami\n');
    expect(text).not.toMatch(/npx|npm/);
  });
});
