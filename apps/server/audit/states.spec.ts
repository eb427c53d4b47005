import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Sent, type Shell, startShell } from '../../../test/support/http-shell.ts';
import { governedWorld, upsertOf } from '../../../test/support/governed-world.ts';

let shell: Shell;
let auditor: string;

beforeEach(async () => {
  const world = governedWorld();
  await world.must('UpsertWebhookSubscription', upsertOf('orders'));
  await world.clock.advance(60_000);
  await world.must('UpsertWebhookSubscription', upsertOf('orders', { eventPattern: 'claim.*,version.*' }));
  shell = await startShell({ logReader: world.store });
  await shell.clock.advance(120_000);
  auditor = shell.key(['site:tnt_demo:audit']);
});
afterEach(() => shell.close());

const get = (id: string, asOf?: string, key = auditor): Promise<Sent> => shell.send('GET', `/api/audit/states/${encodeURIComponent(id)}?siteId=tnt_demo${asOf === undefined ? '' : `&asOf=${encodeURIComponent(asOf)}`}`, { key });

describe('GET /api/audit/states/{resourceId}', () => {
  it('answers what a subscription was, and never a secret', async () => {
    const now = await get('orders');
    expect(now.body).toMatchObject({ resourceId: 'orders', kind: 'SUBSCRIPTION', asOf: null, revision: 2, at: '2026-11-21T12:01:00.000Z', state: { id: 'orders', siteId: 'tnt_demo', events: ['claim.*', 'version.*'], revision: 2, secret: { kind: 'managed' } } });
    const first = await get('orders', 'revision:1');
    expect(first.body).toMatchObject({ asOf: 'revision:1', revision: 1, position: expect.stringMatching(/^\d+$/), at: '2026-11-21T12:00:00.000Z', state: { events: ['version.*'], updatedAt: '2026-11-21T12:00:00.000Z' } });
    for (const asOf of [`position:${String(first.body['position'])}`, 'time:2026-11-21T12:00:59Z', 'time:2026-11-21T13:00:00+01:00']) expect((await get('orders', asOf)).body).toEqual({ ...first.body, asOf });
    expect(now.text + first.text).not.toMatch(/whsec_|fingerprint/);
  });

  it('answers null for what was not there yet', async () => {
    for (const asOf of ['revision:0', 'position:0', 'time:2026-11-21T11:59:59Z']) expect((await get('orders', asOf)).body).toEqual({ resourceId: 'orders', kind: 'SUBSCRIPTION', asOf, revision: 0, position: null, at: null, state: null });
  });

  it('says what is wrong with a moment, and what is the newest', async () => {
    for (const asOf of ['revision:x', 'yesterday', 'time:2026-11-21', 'position:']) expect((await get('orders', asOf)).body).toMatchObject({ status: 400, errors: [{ path: 'asOf', message: expect.stringContaining('revision:<n>') }] });
    expect((await get('orders', 'revision:3')).body).toMatchObject({ status: 400, detail: expect.stringContaining('beyond revision 2') });
    expect((await get('orders', 'position:999')).body).toMatchObject({ status: 400, type: expect.stringContaining('position-unknown'), head: expect.any(String) });
    expect((await get('orders', 'time:2036-11-21T11:59:59Z')).body).toMatchObject({ status: 400, errors: [{ path: 'asOf' }] });
  });

  it('is for auditors of the site, and of what the site has', async () => {
    expect((await get('other')).status).toBe(404);
    expect((await get('orders', undefined, shell.key(['site:tnt_demo:read']))).status).toBe(403);
    expect((await get('orders', undefined, shell.key(['site:globex:audit']))).status).toBe(404);
    expect((await shell.send('GET', '/api/audit/states/orders?siteId=tnt_demo.staging', { key: shell.key(['site:tnt_demo.*:audit']) })).status).toBe(404);
  });
});
