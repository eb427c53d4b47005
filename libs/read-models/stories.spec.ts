import { describe, expect, it } from '@jest/globals';
import type { Position, Site } from '#kernel';
import { readModelsFixture } from '../../test/support/read-models.ts';

const site: Site = { tenant: 't', environment: 'production' };
const other: Site = { tenant: 't', environment: 'staging' };
const incarnation = '00000000-0000-4000-8000-000000000001';
const of = readModelsFixture();

/** A delivered event of which each attempt was signed with these versions; answers the delivery's id. */
async function delivered(eventId: string, where: Site, ...signedWith: readonly (readonly string[])[]): Promise<string> {
  const id = await of().log.pass(1_000).schedule(where, eventId, 'whs_1', incarnation);
  for (const [index, secretVersionIds] of signedWith.entries()) {
    const last = index === signedWith.length - 1;
    const outcome = { attempt: index + 1, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 1, status: last ? 200 : 500, error: null, subscriptionRevision: 1, secretVersionIds, transcriptSha256: 'x' };
    await of().log.write(`webhookdelivery-${where.tenant}.${where.environment}.${id}`, last ? { type: 'WebhookDeliverySucceeded', data: outcome } : { type: 'WebhookDeliveryAttemptFailed', data: { ...outcome, nextAttemptAt: '2026-01-01T00:01:00.000Z', why: 'status 500' } });
  }
  return id;
}

describe('the attempts that some versions of a secret signed', () => {
  it('are found page by page, the latest deliveries first, in the subscription’s site only', async () => {
    await of().log.create(site, 'whs_1');
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push(await delivered(`e${n}`, site, n < 3 ? ['v1'] : ['v2', 'v1'], ['v2']));
    await delivered('elsewhere', other, ['v1']);
    await of().log.schedule(site, 'open', 'whs_1', incarnation);
    const models = await of().caughtUp(await of().started());
    const found: string[] = [];
    const looks: number[] = [];
    let before: Position | null = null;
    do {
      const page: Awaited<ReturnType<typeof models.signedAttempts>> = await models.signedAttempts({ site, subscriptionId: 'whs_1', status: 'DELIVERED', secretVersionIds: ['v1'], before, limit: 2 });
      found.push(...page.attempts.map(({ deliveryId, secretVersionIds }) => `${ids.indexOf(deliveryId)} ${secretVersionIds.join()}`));
      looks.push(page.looked);
      before = page.next;
    } while (before !== null);
    expect(found).toEqual(['4 v2,v1', '3 v2,v1', '2 v1', '1 v1', '0 v1']);
    expect(looks).toEqual([2, 2, 1]);
    const asked = { site, subscriptionId: 'whs_1', before: null, limit: 10 } as const;
    expect(await models.signedAttempts({ ...asked, status: 'DELIVERED', secretVersionIds: ['v3'] })).toEqual({ attempts: [], looked: 5, next: null });
    expect((await models.signedAttempts({ ...asked, status: 'PENDING', secretVersionIds: ['v1'] })).looked).toBe(1);
    expect((await models.signedAttempts({ ...asked, status: 'DELIVERED', secretVersionIds: ['v2'] })).attempts).toHaveLength(7);
  });
});

describe('what a site published', () => {
  it('is found page by page, the latest first', async () => {
    for (let n = 0; n < 3; n += 1) await of().log.publish(site, `e${n}`);
    await of().log.publish(other, 'elsewhere');
    const models = await of().caughtUp(await of().started());
    const first = await models.publishedIds({ site, before: null, limit: 2 });
    expect(first.map(({ eventId }) => eventId)).toEqual(['e2', 'e1']);
    expect((await models.publishedIds({ site, before: first.at(-1)?.position ?? null, limit: 2 })).map(({ eventId }) => eventId)).toEqual(['e0']);
  });
});
