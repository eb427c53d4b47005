import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { type Api, type Body, demo, kim, sam } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { Inbox } from '../support/e2e/inbox.ts';
import { Installation } from '../support/e2e/installation.ts';
import { type ShiftedServer, startShiftedServer } from '../support/e2e/shifted-server.ts';
import { type Run, Terminal } from '../support/e2e/terminal.ts';

jest.setTimeout(60_000);

const hours = 60 * 60 * 1_000;
const days = 24 * hours;
const who = `--tenant ${demo} --actor-type USER --actor-id`;

/** Somebody at a terminal who has an API key with just these rights in the site. */
async function terminalOf(url: string, root: Api, id: string, ...rights: readonly string[]): Promise<Terminal> {
  const key = await root.newKey({ name: id, scopes: rights.map((right) => `site:${demo}:${right}`), actor: { type: 'USER', id } });
  return new Terminal({ KF_SERVER: url, KF_API_KEY: key.text, TZ: 'Europe/Berlin' });
}

/** Why an event was, or was not, delivered, as soon as fan-out and dispatcher are through with it. */
const explanation = (shell: Terminal, eventId: string, subscriptionId: string): Promise<Body> =>
  eventually(`an explanation of ${eventId} for ${subscriptionId}`, async () => {
    const { json } = await shell.ok(`kf audit explain --site ${demo} --event-id ${eventId} --webhook-subscription-id ${subscriptionId}`);
    return ['not-scheduled-yet', 'pending', 'retry-scheduled'].includes(String(json['code'])) ? undefined : json;
  }, 20_000);

/** The lines of a table, each blank between columns shortened. */
const linesOf = ({ out }: Run): readonly string[] => out.split('\n').map((line) => line.replace(/ {2,}/g, '  '));

describe('the record of a governed rotation', () => {
  let server: ShiftedServer;
  let inbox: Inbox;
  let auditor: Terminal;
  let requester: Terminal;
  let approver: Terminal;
  let approvalId: string;
  let commandId: string;
  const secretVersions: string[] = [];
  const deliveryIds: string[] = [];

  /** Publishes one event, and answers by how many secrets its delivery was signed. */
  async function delivered(eventId: string): Promise<number> {
    await server.root.publishOne({ eventId, type: 'orders.placed', data: {} });
    const request = (await inbox.arrived('orders', deliveryIds.length + 1)).at(-1);
    deliveryIds.push(String(request?.headers['webhook-id']));
    await eventually('its outcome', async () => ((await server.root.delivery('orders', String(request?.headers['webhook-id']))).status === 'DELIVERED' ? true : undefined));
    return String(request?.headers['webhook-signature']).split(' ').length;
  }

  beforeAll(async () => {
    inbox = await Inbox.start();
    server = await startShiftedServer();
    auditor = await terminalOf(server.url, server.root, 'usr_ada', 'audit');
    requester = await terminalOf(server.url, server.root, sam.id, 'read', 'write', 'approve');
    approver = await terminalOf(server.url, server.root, kim.id, 'read', 'approve');
    await server.root.subscribe(inbox.url('orders'), 'orders.*', { webhookSubscriptionId: 'orders' });
    expect(await delivered('before')).toBe(1);

    const asked = await requester.ok(`kf approval request ${who} usr_sam --command-type RotateWebhookSubscriptionSecret --resource-id orders --expires-on +4h --reason 'it was in a log'`);
    approvalId = String(asked.json['resourceId']);
    expect((await requester.run(`kf approval grant ${who} usr_sam --approval-id ${approvalId}`)).code).toBe(1);
    await approver.ok(`kf approval grant ${who} usr_kim --approval-id ${approvalId}`);
    const rotated = await requester.ok(`kf webhook rotate-subscription-secret ${who} usr_sam --webhook-subscription-id orders --approval-id ${approvalId} --grace-seconds 3600`);
    commandId = String(rotated.json['commandId']);
    expect(await delivered('in-grace')).toBe(2);
    server.clock.moveOn(2 * hours);
    expect(await delivered('after-grace')).toBe(1);
    for (const id of [deliveryIds[0], deliveryIds[2]]) secretVersions.push(...(await server.root.delivery('orders', String(id))).transcripts.flatMap(({ secretVersionIds }) => secretVersionIds));
  }, 60_000);
  afterAll(async () => {
    for (const shell of [auditor, requester, approver]) shell?.end();
    await inbox?.close();
    await server?.end();
  });

  it.each(['command', 'approval'])('kf audit show of its %s: who asked, who granted, when, which command used it, in the order of the log', async (thing) => {
    const { json } = await auditor.ok(`kf audit show ${thing === 'command' ? commandId : approvalId} --site ${demo}`);
    const entries = json['entries'] as readonly { position: string; at: string; kind: string; actor: object | null; approvalId: string | null; commandId: string | null; text: string }[];
    expect(json).toMatchObject({ kind: thing.toUpperCase(), truncated: false });
    expect(entries.map(({ position }) => Number(position))).toEqual(entries.map(({ position }) => Number(position)).sort((a, b) => a - b));
    const of = (kind: string): readonly object[] => entries.filter((entry) => entry.kind === kind);
    expect(of('REQUEST')).toEqual([expect.objectContaining({ actor: sam, approvalId, at: expect.stringMatching(/Z$/) })]);
    expect(of('VOTE')).toEqual([expect.objectContaining({ actor: kim, approvalId, at: expect.stringMatching(/Z$/) })]);
    expect(of('COMMAND')).toContainEqual(expect.objectContaining({ actor: sam, commandId, approvalId }));
    const at = (kind: string): number => entries.findIndex((entry) => entry.kind === kind && (kind !== 'COMMAND' || entry.commandId === commandId));
    expect([at('REQUEST'), at('VOTE'), at('COMMAND')].every((place, index, all) => place > (all[index - 1] ?? -1))).toBe(true);
  });

  it('kf audit show prints that as a time line in local time, and at its end which deliveries were signed with which version of the secret', async () => {
    const shown = await auditor.ok(`kf audit show ${commandId} --site ${demo} --output table`);
    const lines = linesOf(shown);
    expect(lines[0]).toBe(`COMMAND ${commandId}`);
    expect(lines.findIndex((line) => /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0[12]:00 {2}USER:usr_sam {2}.*RotateWebhookSubscriptionSecret/.test(line))).toBeGreaterThan(1);
    expect(lines.some((line) => /^\S+ \S+ \+0[12]:00 {2}USER:usr_kim {2}.*grant/i.test(line))).toBe(true);
    const [before, inGrace, after] = deliveryIds;
    const signedWith = (version: string | undefined): readonly string[] => {
      const from = lines.findIndex((line) => line.startsWith(`Secret version ${version} `));
      expect(from).toBeGreaterThan(1);
      const end = lines.findIndex((line, index) => index > from && !line.startsWith('  '));
      return lines.slice(from + 1, end).map((line) => line.trim());
    };
    expect([...signedWith(secretVersions[0])].sort()).toEqual([before, inGrace].sort());
    expect([...signedWith(secretVersions[1])].sort()).toEqual([inGrace, after].sort());
    expect(shown.out).not.toMatch(/whsec_/);
  });

  it('kf audit show of a delivery and of its event tells each attempt', async () => {
    for (const [id, kind] of [[deliveryIds[1], 'DELIVERY'], ['in-grace', 'EVENT']] as const) {
      const { json } = await auditor.ok(`kf audit show ${id} --site ${demo}`);
      expect(json['kind']).toBe(kind);
      expect((json['entries'] as readonly { kind: string; deliveryId: string | null }[]).filter((entry) => entry.kind === 'ATTEMPT').map(({ deliveryId }) => deliveryId)).toEqual([deliveryIds[1]]);
      expect((json['signatures'] as readonly { secretVersionId: string }[]).map(({ secretVersionId }) => secretVersionId).sort()).toEqual([...secretVersions].sort());
    }
  });

  it('kf audit refusals lists that the requester tried to grant it', async () => {
    const refusals = await eventually('the refusal', async () => {
      const { json } = await auditor.ok(`kf audit refusals --site ${demo} --actor USER:usr_sam`);
      const items = json['items'] as readonly Body[];
      return items.length > 0 ? items : undefined;
    });
    expect(refusals).toEqual([expect.objectContaining({ actor: sam, commandType: 'GrantApproval', resourceId: approvalId, code: 'approver-conflict' })]);
    expect((await auditor.ok(`kf audit refusals --site ${demo} --actor USER:usr_kim`)).json['items']).toEqual([]);
  });

  it('is closed to a key without the right to audit, which is told so', async () => {
    for (const line of ['log', `show ${commandId}`, 'state orders --as-of revision:1', 'explain --event-id before --webhook-subscription-id orders', 'refusals', 'replay']) {
      const { code, out, err } = await requester.run(`kf audit ${line} --site ${demo}`);
      expect([line, code, out, err.includes(`site:${demo}:audit`)]).toEqual([line, 1, '', true]);
    }
  });
});

describe('why an event was, or was not, delivered', () => {
  let installation: Installation;
  let inbox: Inbox;
  let root: Api;
  let auditor: Terminal;

  beforeAll(async () => {
    inbox = await Inbox.start();
    installation = await Installation.start({ KF_RETRY_SCHEDULE: '0s,50ms' });
    root = installation.root;
    auditor = await terminalOf(installation.url, root, 'usr_ada', 'audit');
  }, 60_000);
  afterAll(async () => {
    auditor?.end();
    await inbox?.close();
    await installation?.end();
  });

  const subscribe = (id: string, eventPattern = `${id}.*`, more: object = {}): ReturnType<Api['subscribe']> =>
    root.subscribe(inbox.url(id, id === 'dead-lettered' ? () => ({ status: 500 }) : undefined), eventPattern, { webhookSubscriptionId: id, ...more });
  const publish = (id: string): ReturnType<Api['publishOne']> => root.publishOne({ eventId: `${id}-event`, type: `${id}.happened`, data: {} });
  const change = (command: string, id: string): ReturnType<Api['do']> => root.do(`${command}WebhookSubscription`, { webhookSubscriptionId: id }, { actor: kim });

  /** Where the event of that type stands that the command appended. */
  const placeOf = async (id: string, type: string): Promise<string> => {
    const { json } = await auditor.ok(`kf audit log --site ${demo} --resource-id ${id}`);
    return String((json['items'] as readonly Body[]).find((event) => event['type'] === type)?.['position']);
  };

  it('delivered', async () => {
    await subscribe('delivered');
    const { position } = await publish('delivered');
    expect(await explanation(auditor, 'delivered-event', 'delivered')).toMatchObject({ code: 'delivered', delivered: true, event: { type: 'delivered.happened', position }, delivery: { status: 'DELIVERED', attempts: 1 }, attempts: [{ attempt: 1, status: 200, error: null }] });
  });

  it('its pattern did not match', async () => {
    await subscribe('mismatch', 'something.else');
    await publish('mismatch');
    expect(await explanation(auditor, 'mismatch-event', 'mismatch')).toMatchObject({ code: 'pattern-mismatch', delivered: false, subscription: { status: 'ACTIVE', eventPattern: 'something.else', revision: 1 }, because: { type: 'WebhookSubscriptionCreated' }, delivery: null });
  });

  it('it was paused: by whom, at which position', async () => {
    await subscribe('paused');
    await change('Pause', 'paused');
    await publish('paused');
    const position = await placeOf('paused', 'WebhookSubscriptionPaused');
    const why = await explanation(auditor, 'paused-event', 'paused');
    expect(why).toMatchObject({ code: 'paused', delivered: false, subscription: { status: 'PAUSED' }, because: { type: 'WebhookSubscriptionPaused', position, actor: kim }, now: { status: 'PAUSED' } });
    const { out } = await auditor.ok(`kf audit explain --site ${demo} --event-id paused-event --webhook-subscription-id paused --output table`);
    const [sentence] = out.split('\n');
    expect(sentence).toContain('paused');
    expect(sentence).toContain(`USER:usr_kim at position ${position} (`);
    expect(sentence).toMatch(/\(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0[12]:00\)/);
  });

  it('it was paused, and its pattern changed and it was resumed later: what it was then counts', async () => {
    await subscribe('changed');
    await change('Pause', 'changed');
    await publish('changed');
    await subscribe('changed', 'something.else', { status: 'PAUSED' });
    await change('Resume', 'changed');
    expect(await explanation(auditor, 'changed-event', 'changed')).toMatchObject({ code: 'paused', subscription: { status: 'PAUSED', eventPattern: 'changed.*' }, because: { type: 'WebhookSubscriptionPaused', position: await placeOf('changed', 'WebhookSubscriptionPaused'), actor: kim }, now: { status: 'ACTIVE', eventPattern: 'something.else' } });
  });

  it('it was created later', async () => {
    await publish('later');
    await subscribe('later');
    expect(await explanation(auditor, 'later-event', 'later')).toMatchObject({ code: 'created-later', subscription: null, because: { type: 'WebhookSubscriptionCreated', position: await placeOf('later', 'WebhookSubscriptionCreated') } });
  });

  it('it was deleted', async () => {
    await subscribe('deleted');
    await change('Delete', 'deleted');
    await publish('deleted');
    expect(await explanation(auditor, 'deleted-event', 'deleted')).toMatchObject({ code: 'deleted', subscription: { status: 'DELETED' }, because: { type: 'WebhookSubscriptionDeleted', position: await placeOf('deleted', 'WebhookSubscriptionDeleted'), actor: kim } });
  });

  it('it was dead-lettered: after which attempts', async () => {
    await subscribe('dead-lettered');
    await publish('dead-lettered');
    const why = await explanation(auditor, 'dead-lettered-event', 'dead-lettered');
    expect(why).toMatchObject({ code: 'dead-lettered', delivered: false, delivery: { status: 'DEAD_LETTERED', attempts: 2 }, attempts: [{ attempt: 1, status: 500 }, { attempt: 2, status: 500 }] });
    const { out } = await auditor.ok(`kf audit explain --site ${demo} --event-id dead-lettered-event --webhook-subscription-id dead-lettered --output table`);
    expect(out).toMatch(/\nATTEMPT +STARTED +STATUS +ERROR +DECISION\n1 .* 500 .*\n2 .* 500 /);
  });

  it('there never was such an event, or such a subscription', async () => {
    await subscribe('never');
    await publish('never');
    for (const [eventId, subscriptionId] of [['nothing', 'never'], ['never-event', 'nobody']] as const) expect(await explanation(auditor, eventId, subscriptionId)).toMatchObject({ code: 'never-existed', delivered: false });
  });
});

describe('thirty days after it was deleted', () => {
  let server: ShiftedServer;
  let inbox: Inbox;
  let auditor: Terminal;

  beforeAll(async () => {
    inbox = await Inbox.start();
    server = await startShiftedServer();
    auditor = await terminalOf(server.url, server.root, 'usr_ada', 'audit');
  }, 60_000);
  afterAll(async () => {
    auditor?.end();
    await inbox?.close();
    await server?.end();
  });

  it('an event after the purge was not delivered because it was purged; one before is still told from the log', async () => {
    const { root, clock } = server;
    await root.subscribe(inbox.url('gone'), 'gone.*', { webhookSubscriptionId: 'gone' });
    await root.publishOne({ eventId: 'first', type: 'gone.away', data: {} });
    expect(await explanation(auditor, 'first', 'gone')).toMatchObject({ code: 'delivered' });
    await root.do('DeleteWebhookSubscription', { webhookSubscriptionId: 'gone' });
    clock.moveOn(31 * days);
    await eventually('the purge', async () => ((await auditor.ok(`kf audit log --site ${demo} --resource-id gone`)).out.includes('"WebhookSubscriptionPurged"') ? true : undefined));
    await root.publishOne({ eventId: 'second', type: 'gone.away', data: {} });
    expect(await explanation(auditor, 'second', 'gone')).toMatchObject({ code: 'purged', delivered: false, subscription: null, because: { type: 'WebhookSubscriptionPurged' }, now: null });
    const first = await explanation(auditor, 'first', 'gone');
    expect(first).toMatchObject({ code: 'delivered', delivered: true, now: null });
    expect((first['notes'] as readonly string[]).some((note) => note.includes('purged'))).toBe(true);
  });
});

describe('the record of a site, and any state in it', () => {
  let installation: Installation;
  let inbox: Inbox;
  let root: Api;
  let auditor: Terminal;
  interface Recorded {
    readonly position: string;
    readonly type: string;
    readonly recordedAt: string;
    readonly actor: { readonly type: string; readonly id: string } | null;
    readonly commandType: string | null;
    readonly resourceId: string;
    readonly approvalId: string | null;
    readonly correlationId: string | null;
  }
  const log = async (flags = ''): Promise<readonly Recorded[]> => (await auditor.ok(`kf audit log --site ${demo} ${flags}`)).json['items'] as readonly Recorded[];

  beforeAll(async () => {
    inbox = await Inbox.start();
    installation = await Installation.start();
    root = installation.root;
    auditor = await terminalOf(installation.url, root, 'usr_ada', 'audit');
    const approver = await root.person(kim.id);
    await root.subscribe(inbox.url('orders'), 'orders.*', { webhookSubscriptionId: 'orders' });
    await root.publish('orders.placed', { n: 1 }, 'tnt_other');
    await root.publish('orders.placed', { n: 2 });
    await inbox.arrived('orders', 1);
    await root.do('PauseWebhookSubscription', { webhookSubscriptionId: 'orders' }, { actor: kim });
    await root.do('ResumeWebhookSubscription', { webhookSubscriptionId: 'orders' });
    const { resourceId, revision } = await root.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: 'orders', expiresOn: new Date(Date.now() + hours).toISOString() });
    await root.as(approver.text).do('GrantApproval', { approvalId: resourceId }, { actor: kim, expectedRevision: revision });
    await root.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId: 'orders' });
    await root.subscribe(inbox.url('orders'), 'orders.**', { webhookSubscriptionId: 'orders' });
    // What follows from all that is in the log too before it is looked at.
    await eventually('the mirrored use of the approval', async () => ((await log('--approval-id ' + resourceId)).some(({ type }) => type === 'ApprovalUseMirrored') ? true : undefined));
  }, 60_000);
  afterAll(async () => {
    auditor?.end();
    await inbox?.close();
    await installation?.end();
  });

  it('kf audit log reads it in the order of the log, and nothing of another site', async () => {
    const all = await log();
    expect(all.map(({ position }) => Number(position))).toEqual(all.map(({ position }) => Number(position)).sort((a, b) => a - b));
    for (const type of ['WebhookSubscriptionCreated', 'EventPublished', 'WebhookDeliveryScheduled', 'WebhookSubscriptionPaused', 'ApprovalRequested', 'ApprovalVoteCast', 'ApprovalConsumed', 'WebhookSubscriptionSecretRotated']) expect(all.map((event) => event.type)).toContain(type);
    const { out } = await auditor.ok(`kf audit log --site ${demo} --output jsonl`);
    expect(out).not.toContain('tnt_other');
    expect(out).not.toMatch(/whsec_/);
  });

  it('kf audit log filters by time, actor, command type, resource, approval and correlation, and stops at a limit', async () => {
    const all = await log();
    const vote = all.find(({ type }) => type === 'ApprovalVoteCast')!;
    const until = (events: readonly Recorded[]): readonly Recorded[] => events.filter(({ position }) => BigInt(position) <= BigInt(all.at(-1)!.position));
    const cases: readonly (readonly [string, (event: Recorded) => boolean])[] = [
      ['--actor USER:usr_kim', ({ actor }) => actor?.type === 'USER' && actor.id === 'usr_kim'],
      ['--command-type RotateWebhookSubscriptionSecret', ({ commandType }) => commandType === 'RotateWebhookSubscriptionSecret'],
      ['--resource-id orders', ({ resourceId }) => resourceId === 'orders'],
      [`--approval-id ${vote.approvalId}`, ({ approvalId }) => approvalId === vote.approvalId],
      [`--correlation-id ${vote.correlationId}`, ({ correlationId }) => correlationId === vote.correlationId],
      [`--since ${vote.recordedAt}`, ({ recordedAt }) => recordedAt >= vote.recordedAt],
      [`--until ${vote.recordedAt}`, ({ recordedAt }) => recordedAt <= vote.recordedAt],
    ];
    for (const [flags, passes] of cases) {
      const wanted = all.filter(passes).map(({ position }) => position);
      expect([flags, wanted.length > 0 && wanted.length < all.length]).toEqual([flags, true]);
      expect([flags, until(await log(flags)).map(({ position }) => position)]).toEqual([flags, wanted]);
    }
    expect((await log('--limit 3')).map(({ position }) => position)).toEqual(all.slice(0, 3).map(({ position }) => position));
  });

  it('kf audit log --follow prints the past after a position, then what comes, each once', async () => {
    const all = await log('--resource-id orders');
    const reading = auditor.run(`kf audit log --site ${demo} --resource-id orders --follow --from ${all[0]!.position} --output jsonl | head -n ${all.length + 1}`);
    let ended = false;
    void reading.finally(() => (ended = true));
    // A reader that has enough is noticed when the next line is written: so there must come more than it takes.
    await eventually('the end of the stream', async () => {
      await root.do('PauseWebhookSubscription', { webhookSubscriptionId: 'orders' });
      await root.do('ResumeWebhookSubscription', { webhookSubscriptionId: 'orders' });
      return ended ? true : undefined;
    }, 30_000);
    const positions = (await reading).out.trimEnd().split('\n').map((line) => (JSON.parse(line) as Recorded).position);
    expect(positions).toHaveLength(all.length + 1);
    expect(positions).toEqual((await log('--resource-id orders')).slice(1, all.length + 2).map(({ position }) => position));
  });

  it('kf audit state shows what a subscription was as of a revision, a position and a time', async () => {
    const events = await log('--resource-id orders');
    const paused = events.find(({ type }) => type === 'WebhookSubscriptionPaused')!;
    const before = new Date(Date.parse(paused.recordedAt) - 1).toISOString();
    const state = async (asOf: string): Promise<Body> => (await auditor.ok(`kf audit state orders --site ${demo} --as-of ${asOf}`)).json;
    expect(await state('revision:1')).toMatchObject({ kind: 'SUBSCRIPTION', revision: 1, state: { status: 'ACTIVE', events: ['orders.*'] } });
    expect(await state('revision:2')).toMatchObject({ revision: 2, position: paused.position, at: paused.recordedAt, state: { status: 'PAUSED' } });
    expect(await state(`position:${paused.position}`)).toMatchObject({ revision: 2, state: { status: 'PAUSED' } });
    expect(await state(`position:${BigInt(paused.position) - 1n}`)).toMatchObject({ revision: 1, state: { status: 'ACTIVE' } });
    expect(await state(`time:${before}`)).toMatchObject({ revision: 1, state: { status: 'ACTIVE' } });
    expect(await state('revision:0')).toMatchObject({ state: null });
    const now = await state('revision:5');
    expect(now).toMatchObject({ revision: 5, state: { events: ['orders.**'] } });
    expect(JSON.stringify(now)).not.toMatch(/whsec_/);
    const shown = await auditor.ok(`kf audit state orders --site ${demo} --as-of revision:2 --output table`);
    expect(linesOf(shown)).toContain('Status  PAUSED');
  });

  it('kf audit replay folds the log anew and comes to the live digest', async () => {
    const equal = await eventually('a replay that meets the live read models where they are', async () => {
      const { out } = await auditor.ok(`kf audit replay --site ${demo}`);
      const last = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as { readonly equal: boolean | null; readonly digest: string; readonly liveDigest: string; readonly events: number };
      return last.equal === null ? undefined : last;
    });
    expect(equal).toMatchObject({ equal: true, digest: equal.liveDigest });
    expect(equal.events).toBeGreaterThan(20);
    const { code, out } = await auditor.run(`kf audit replay --site ${demo} --to 5 --output table`);
    expect(code).toBe(0);
    expect(out).toMatch(/^Replayed to position +5$/m);
  });
});
