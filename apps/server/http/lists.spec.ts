import { describe, expect, it } from '@jest/globals';
import { refuse } from '#kernel';
import { untriedHealth } from '#read-models';
import { type Shell, startShell } from '../../../test/support/http-shell.ts';
import type { Reads } from '../parts.ts';

async function withShell(overrides: Parameters<typeof startShell>[0], use: (shell: Shell) => Promise<void>): Promise<void> {
  const shell = await startShell(overrides);
  try {
    await use(shell);
  } finally {
    await shell.close();
  }
}

const slugOf = (body: Readonly<Record<string, unknown>>): string => String(body['type']).replace('https://countersign.dev/problems/', '');

const reading = (listApprovals: Reads['listApprovals']): Reads => ({
  apiKeyById: () => Promise.resolve(undefined),
  listApiKeys: () => Promise.resolve({ items: [], nextCursor: null }),
  listApprovals,
  listSubscriptions: () => Promise.resolve({ items: [], nextCursor: null }),
  listRecoveries: () => Promise.resolve({ items: [], nextCursor: null }),
  subscriptionHealth: () => Promise.resolve(untriedHealth),
  listDeliveries: () => Promise.resolve({ items: [], nextCursor: null }),
  delivery: () => Promise.resolve(undefined),
  transcripts: () => Promise.resolve([]),
  event: () => Promise.resolve(undefined),
});

describe('a list', () => {
  it('has 50 items unless the caller says otherwise, and goes on at a cursor', async () => {
    const asked: unknown[] = [];
    const reads = reading((list) => {
      asked.push(list);
      return Promise.resolve({ items: [], nextCursor: 'next' });
    });
    await withShell({ reads }, async ({ send }) => {
      expect((await send('GET', '/api/approvals?siteId=acme')).body).toEqual({ items: [], nextCursor: 'next' });
      await send('GET', '/api/approvals?siteId=acme.staging&limit=500&cursor=next&status=PENDING');
    });
    expect(asked).toEqual([
      { site: { tenant: 'acme', environment: 'production' }, status: undefined, limit: 50 },
      { site: { tenant: 'acme', environment: 'staging' }, status: 'PENDING', limit: 500, cursor: 'next' },
    ]);
  });

  it('refuses a cursor that no answer gave', async () => {
    await withShell({ reads: reading(() => Promise.resolve(refuse('validation-failed', 'This cursor was not made by this list.', { errors: [{ path: 'cursor', message: 'x' }] }))) }, async ({ send }) => {
      const { status, body } = await send('GET', '/api/approvals?siteId=acme&cursor=zzz');
      expect([status, slugOf(body)]).toEqual([400, 'validation-failed']);
    });
  });
});

describe('waitFor', () => {
  const projections = (waitFor: 'reached' | 'behind', seen: unknown[] = []): NonNullable<Parameters<typeof startShell>[0]> => ({
    projections: {
      status: () => [],
      onCommitted: () => () => undefined,
      rebuild: () => ({ done: Promise.resolve() }),
      replay: () => refuse('concurrent-modification', 'Another replay runs.'),
      waitFor: (...asked) => {
        seen.push(asked);
        return Promise.resolve(waitFor);
      },
    },
  });

  it('waits until the read model has seen the position, for at most 2 s', async () => {
    const seen: unknown[] = [];
    await withShell(projections('reached', seen), async ({ send }) => expect((await send('GET', '/api/approvals?siteId=acme&waitFor=10')).status).toBe(200));
    expect(seen).toEqual([['10', 2_000]]);
  });

  it('is 503 when the read model stays behind', async () => {
    await withShell(projections('behind'), async ({ send }) => {
      const { status, body, headers } = await send('GET', '/api/approvals?siteId=acme&waitFor=10');
      expect([status, slugOf(body), headers['retry-after']]).toEqual([503, 'projection-behind', '1']);
    });
  });

  it('is 400 beyond the head of the log', async () => {
    await withShell(projections('reached'), async ({ send }) => {
      const { status, body } = await send('GET', '/api/approvals?siteId=acme&waitFor=11');
      expect([status, slugOf(body)]).toEqual([400, 'position-unknown']);
    });
  });
});
