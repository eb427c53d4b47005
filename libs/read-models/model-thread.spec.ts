import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type RecordedEvent, type Site, streamOf } from '#kernel';
import { ReadModelsUnavailable } from './errors.ts';
import { ModelThread } from './model-thread.ts';

jest.setTimeout(60_000);
const site: Site = { tenant: 't', environment: 'production' };
const secret = { versionId: 'v', kind: 'managed', fingerprint: 'f' };
/** About as much as one append may have. */
const description = 'x'.repeat(850 * 1024);
const data = JSON.stringify({ eventPattern: '**', targetUrl: 'https://example.org/', deliveryMode: 'AT_LEAST_ONCE', description, status: 'ACTIVE', secret });

const created = (position: number): RecordedEvent => ({
  position: String(position),
  revision: 0,
  stream: streamOf('webhooksubscription', site, `whs_${position}`),
  id: `00000000-0000-4000-8000-${String(position).padStart(12, '0')}`,
  type: 'WebhookSubscriptionCreated',
  data,
  metadata: { recordedat: '2026-01-01T00:00:00.000Z', actortype: 'USER', actorid: 'ann' },
});

describe('the thread that folds', () => {
  let folder: string;
  let thread: ModelThread;
  const open = async (maxOldGenerationSizeMb: number): Promise<void> => {
    thread = new ModelThread({ maxOldGenerationSizeMb });
    await thread.ask('open', { path: join(folder, 'read-models.db'), historyDays: 30 });
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'model-thread-'));
  });
  afterEach(async () => {
    await thread.end();
    rmSync(folder, { recursive: true });
  });

  it('needs no more memory for a long log of the largest events than for a short one', async () => {
    await open(160);
    const batch = 5;
    const events = 250;
    for (let last = batch; last <= events; last += batch) await thread.fold(Array.from({ length: batch }, (_, index) => created(last - batch + 1 + index)), String(last));
    await thread.ask('write', null);
    const standings = await thread.ask('apply', { events: [], position: String(events), write: 'later' });
    expect(standings.map(({ position, poison }) => ({ position, poison }))).toEqual(standings.map(() => ({ position: String(events), poison: null })));
  });

  it('ends when it needs more than its heap may have, and says so to all who ask', async () => {
    await open(16);
    const folding = thread.fold(Array.from({ length: 100 }, (_, index) => created(index + 1)), '100');
    const asking = thread.ask('query', { name: 'queueDepth', args: undefined });
    for (const asked of [folding, asking]) await expect(asked).rejects.toThrow(/died: .*memory/);
    expect([thread.dead, await thread.ended]).toEqual([true, expect.any(ReadModelsUnavailable)]);
    await expect(thread.ask('write', null)).rejects.toThrow(/died: .*memory/);
    await open(160);
    expect(await thread.fold([created(1)], '1')).toContainEqual(expect.objectContaining({ position: '1', poison: null }));
  });
});
