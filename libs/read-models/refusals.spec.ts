import { describe, expect, it } from '@jest/globals';
import { isRefusal, type Site, streamOf } from '#kernel';
import type { ReadModels } from '#read-models';
import { readModelsFixture } from '../../test/support/read-models.ts';

const site: Site = { tenant: 't', environment: 'production' };
const other: Site = { tenant: 't', environment: 'staging' };
const of = readModelsFixture();

const refused = (id: string, { where = site, actor = 'ann', code = 'approval-required' } = {}): Promise<string> =>
  of().log.write(streamOf('refusal', where, id), {
    type: 'CommandRefused',
    data: { commandType: 'PauseWebhookSubscription', resourceId: 'orders', code, detail: id, keyId: 'key_1', approvalId: null, suppressed: 2 },
    metadata: { actorid: actor, correlationid: `c-${id}` },
  });

async function list(models: ReadModels, more: object = {}): Promise<readonly string[]> {
  const found: string[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await models.listRefusals({ site, limit: 2, ...more, ...(cursor === undefined ? {} : { cursor }) });
    if (isRefusal(page)) throw new Error(page.detail);
    found.push(...page.items.map(({ detail }) => detail));
    if (page.nextCursor === null) return found;
    cursor = page.nextCursor;
  }
}

describe('the list of refusals', () => {
  it('is newest first, of the site alone, and says who tried what with which key', async () => {
    for (const id of ['r1', 'r2', 'r3']) {
      await refused(id);
      await refused(`other-${id}`, { where: other });
    }
    const models = await of().caughtUp(await of().started());
    expect(await list(models)).toEqual(['r3', 'r2', 'r1']);
    expect(await models.listRefusals({ site: other, limit: 1 })).toMatchObject({
      items: [{ position: '6', actor: { type: 'USER', id: 'ann' }, keyId: 'key_1', commandType: 'PauseWebhookSubscription', resourceId: 'orders', code: 'approval-required', detail: 'other-r3', correlationId: 'c-other-r3', suppressed: 2, recordedAtMs: of().log.nowMs }],
    });
  });

  it('goes by place in the log, not by how a position is written', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `r${n + 1}`);
    for (const id of ids) await refused(id);
    const models = await of().caughtUp(await of().started());
    expect(await list(models)).toEqual(ids.toReversed());
    expect(await list(models, { actor: { type: 'USER', id: 'ann' } })).toEqual(ids.toReversed());
  });

  it('is of one actor, whatever the letter case, and of a window of time', async () => {
    const { log } = of();
    const times: number[] = [];
    for (const [id, actor] of [['r1', 'ann'], ['r2', 'Bob'], ['r3', 'bob'], ['r4', 'ann']] as const) {
      times.push(log.pass(2 * 3_600_000).nowMs);
      await refused(id, { actor });
    }
    const models = await of().caughtUp(await of().started());
    expect(await list(models, { actor: { type: 'USER', id: 'BOB' } })).toEqual(['r3', 'r2']);
    expect(await list(models, { sinceMs: times[1], untilMs: times[2] })).toEqual(['r3', 'r2']);
    expect(await list(models, { sinceMs: (times[3] ?? 0) + 1 })).toEqual([]);
  });

  it('misses nothing of a window because a clock went back by less than an hour', async () => {
    const { log } = of();
    const startMs = log.nowMs;
    for (const [id, minutes] of [['r1', 0], ['r2', 30], ['r3', 10]] as const) {
      log.nowMs = startMs + minutes * 60_000;
      await refused(id);
    }
    const models = await of().caughtUp(await of().started());
    expect(await list(models, { sinceMs: startMs + 20 * 60_000 })).toEqual(['r2']);
  });

  it('refuses the cursor of another list', async () => {
    const models = await of().caughtUp(await of().started());
    expect(await models.listRefusals({ site, limit: 1, cursor: Buffer.from('["keys",""]').toString('base64url') })).toMatchObject({ refused: 'validation-failed' });
  });
});
