import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Site, streamOf } from '#kernel';
import { History } from '../../test/support/history.ts';
import { folded } from '../../test/support/map-rows.ts';
import { apiKeyProjection, apiKeyTable } from './projection.ts';

const site: Site = { tenant: 't', environment: 'production' };
const created = { name: 'n', scopes: ['site:t:read'], actor: { type: 'USER', id: 'Ann' }, anyActor: false, defaultActor: null, owner: null, expiresOn: '2026-02-01T00:00:00.000Z', keySha256: 'h' };

const given = async (write: (log: History) => Promise<unknown>) => {
  const memory = new MemoryLog();
  await write(new History(createMemoryEventStore(memory)));
  return folded(apiKeyProjection, memory.events).all(apiKeyTable);
};

describe('the projection of API keys', () => {
  it('keeps a key with its hash, and marks when it was revoked', async () => {
    const keys = await given(async (log) => {
      await log.write(streamOf('apikey', site, 'key_1'), { type: 'ApiKeyCreated', data: created }, log.receipt('CreateApiKey', 'key_1', 1));
      await log.pass(1000).write(streamOf('apikey', site, 'key_1'), { type: 'ApiKeyRevoked', data: {} });
    });
    expect(keys).toMatchObject([{ id: 'key_1', boundTo: 'user:ann', expiresOnMs: Date.UTC(2026, 1, 1), keySha256: 'h', revision: 2, revokedAtMs: Date.UTC(2026, 0, 1) + 1000 }]);
  });

  it('stops at a revocation of a key that was never made', async () => {
    await expect(given((log) => log.write(streamOf('apikey', site, 'key_1'), { type: 'ApiKeyRevoked', data: {} }))).rejects.toThrow('without a key');
  });
});
