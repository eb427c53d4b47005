import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import type { ApprovalDto, DeliveryDto, RecoveryDto } from '#contracts';
import { openSqliteEventStore } from '#event-store/sqlite';
import { sha256Hex } from '#kernel';
import { Api, demo, kim } from '../support/e2e/api.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Delivered, Inbox } from '../support/e2e/inbox.ts';
import { refusedStart } from '../support/e2e/refused-start.ts';
import { readStoredLog } from '../support/e2e/stored-log.ts';
import { type Run, Terminal } from '../support/e2e/terminal.ts';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { type ServerProcess, startServer } from '../support/server-process.ts';

const environment = { KF_RETRY_SCHEDULE: '0s,3s,3s,3s,3s,3s,3s,3s,3s,3s' };
const program = fileURLToPath(new URL('../../dist/apps/log-copy/main.js', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/apps/cli/main.js', import.meta.url));

let inbox: Inbox;
let target: EventStoreDb;
let server: ServerProcess | undefined;
let terminal: Terminal;
const oldDir = mkdtempSync(join(tmpdir(), 'countersign-copied-'));
const newDir = mkdtempSync(join(tmpdir(), 'countersign-copy-'));

const start = async (dataDir: string, more: Readonly<Record<string, string>> = {}): Promise<Api> => {
  server = await startServer({ dataDir, environment: { ...environment, ...more } });
  return new Api(server.url, server.rootKey);
};
const stop = async (): Promise<void> => {
  await server?.stop();
  server = undefined;
};
const keyIn = (file: string): string => readFileSync(join(oldDir, file), 'utf8').trim();
/** What the servers on the copy are given: what the copy says at its end. */
const onCopy = (): Readonly<Record<string, string>> => ({ KF_EVENT_STORE: target.url, KF_MASTER_KEY: keyIn('master.key'), KF_ROOT_KEY: keyIn('root.key') });
const kfCopy = (flags = ''): Promise<Run> => terminal.run(`kf log copy --from '${oldDir}' --json ${flags}`, { KF_EVENT_STORE: target.url });
const ours = (): number => target.log.events.filter(({ stream }) => !stream.startsWith('$')).length;

const inState = async (api: Api, subscriptionId: string, status: string, count: number, withinMs = 30_000): Promise<readonly DeliveryDto[]> =>
  await eventually(`${count} deliveries ${status}`, async () => {
    const { items } = await api.deliveries(subscriptionId, `&status=${status}&limit=100`);
    return items.length === count ? items : undefined;
  }, withinMs);
const published = async (api: Api, name: string, count: number): Promise<void> => {
  for (let n = 0; n < count; n += 1) await api.publish(`${name}.happened`, { n });
};

/** How often each delivery came to a box, from the n-th request on. */
function timesIn(box: string, from = 0): readonly number[] {
  const times = new Map<unknown, number>();
  for (const { headers } of inbox.in(box).slice(from)) times.set(headers['webhook-id'], (times.get(headers['webhook-id']) ?? 0) + 1);
  return [...times.values()];
}

const verifies = (secret: unknown, { body, headers }: Delivered): boolean => {
  new Webhook(String(secret)).verify(body, headers as Record<string, string>);
  return true;
};

/** An answer without what is a position of a log: the only thing that may differ. */
function bare(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll(/position \d+/g, 'position');
  if (Array.isArray(value)) return value.map(bare);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !/position$|cursor$/i.test(name)).map(([name, member]) => [name, bare(member)]));
}

interface Listed {
  readonly id: string;
}
const site = `siteId=${demo}`;

/** Everything that the API shows of the site: lists, each thing in them, and what auditors read. */
async function everything(api: Api): Promise<Readonly<Record<string, unknown>>> {
  const seen: Record<string, unknown> = {};
  const read = async <T extends object>(path: string): Promise<T> => {
    const answer = await api.read<T>(path);
    seen[path] = bare(answer);
    return answer;
  };
  const list = async <T extends object>(path: string): Promise<readonly T[]> => (await read<{ readonly items: readonly T[] }>(path)).items;
  const { position } = await api.read<{ readonly position: string }>('/api/status');
  const lists = ['webhooks', 'deliveries', 'approvals', 'recoveries', 'audit/refusals'].map((path) => `/api/${path}?${site}`);
  for (const path of [...lists, '/api/keys?limit=500']) await api.read(`${path}&waitFor=${position}`);
  const subscriptions = await list<Listed & { readonly revision: number }>(`/api/webhooks?${site}&includeDeleted=true&limit=100`);
  const deliveries = await list<DeliveryDto>(`/api/deliveries?${site}&limit=500`);
  const approvals = await list<ApprovalDto>(`/api/approvals?${site}`);
  const recorded = await list<{ readonly commandId: string | null; readonly type: string }>(`/api/audit/events?${site}&limit=500`);
  const commands = [...new Set(recorded.filter(({ type }) => type === 'CommandExecuted').map(({ commandId }) => commandId))];
  expect([subscriptions.length, deliveries.length, approvals.length]).toEqual([7, 33, 1]);
  expect(commands.length).toBeGreaterThan(10);
  const states = subscriptions.flatMap(({ id, revision }) => Array.from({ length: revision }, (_, at) => `/api/audit/states/${id}?${site}&asOf=revision:${at + 1}`));
  const each = [
    ...subscriptions.map(({ id }) => `/api/webhooks/${id}?${site}`),
    ...states,
    ...deliveries.map(({ id, subscriptionId }) => `/api/webhooks/${subscriptionId}/deliveries/${id}?${site}`),
    ...deliveries.map(({ eventId }) => `/api/events/${eventId}?${site}`),
    ...approvals.flatMap(({ id }) => [`/api/approvals/${id}?${site}`, `/api/audit/stories/${id}?${site}`, `/api/audit/states/${id}?${site}`]),
    ...commands.map((id) => `/api/commands/${id}?${site}`),
  ];
  for (const path of [...lists.slice(2), '/api/keys', `/api/approval-policies?${site}`, ...each]) await read(path);
  return seen;
}

const ids: Record<'good' | 'failing' | 'held' | 'lost' | 'pending' | 'rotated', string> = { good: '', failing: '', held: '', lost: '', pending: '', rotated: '' };
let secrets: readonly unknown[];
let recoveryId: string;
let before: Readonly<Record<string, unknown>>;
let whileItRan: Run;
let whileCopying: Awaited<ReturnType<typeof refusedStart>>;
let onHalf: Awaited<ReturnType<typeof refusedStart>>;
let half: number;
let interrupted: { readonly code: unknown; readonly err: string };
let bytesBefore: string;
let done: Run;
/** What the boxes answer: to what stays open until after the copy, and to what is recovered from before it on. */
const answers = { open: 422, lost: 422 };

async function rotate(api: Api): Promise<readonly unknown[]> {
  const { resourceId: webhookSubscriptionId, result: first } = await api.subscribe(inbox.url('rotated'), 'rotated.*');
  ids.rotated = webhookSubscriptionId;
  const approver = await api.person('usr_kim');
  expect((await api.command('RotateWebhookSubscriptionSecret', { webhookSubscriptionId })).status).toBe(403);
  const { resourceId: approvalId, revision } = await api.do('RequestApproval', { commandType: 'RotateWebhookSubscriptionSecret', resourceId: webhookSubscriptionId, expiresOn: new Date(Date.now() + 3_600_000).toISOString() });
  await api.as(approver.text).do('GrantApproval', { approvalId }, { actor: kim, expectedRevision: revision });
  const { result } = await api.do('RotateWebhookSubscriptionSecret', { webhookSubscriptionId });
  await eventually('the mirror of the use', async () => ((await api.read<ApprovalDto>(`/api/approvals/${approvalId}?siteId=${demo}`)).status === 'CONSUMED' ? true : undefined));
  return [first.secret, result.secret];
}

/** A life of an installation on one machine, in which something of every kind is left open. */
async function livesOnOneMachine(): Promise<void> {
  const api = await start(oldDir);
  const subscribed = async (name: keyof typeof ids, deliveryMode = 'AT_LEAST_ONCE', status = (): number => 200): Promise<void> => {
    ids[name] = (await api.subscribe(inbox.url(name, () => ({ status: status() })), `${name}.*`, { deliveryMode })).resourceId;
  };
  await subscribed('good', 'ORDERED');
  for (const name of ['failing', 'held'] as const) await subscribed(name, 'AT_LEAST_ONCE', () => answers.open);
  await subscribed('lost', 'BEST_EFFORT', () => answers.lost);
  await subscribed('pending');
  secrets = await rotate(api);
  const { resourceId: deleted } = await api.subscribe(inbox.url('deleted'), 'deleted.*');
  await api.do('DeleteWebhookSubscription', { webhookSubscriptionId: deleted });
  for (const [name, count] of [['good', 12], ['failing', 5], ['held', 3], ['lost', 9]] as const) await published(api, name, count);
  await inState(api, ids.good, 'DELIVERED', 12);
  await inState(api, ids.held, 'SCHEDULED', 3);
  await api.do('PauseWebhookSubscription', { webhookSubscriptionId: ids.held });
  await published(api, 'held', 2);
  await inState(api, ids.lost, 'DEAD_LETTERED', 9);
  answers.lost = 200;
  const started = await api.ask('POST', `/api/webhooks/${ids.lost}/recover?siteId=${demo}`, { body: { since: new Date(Date.now() - 3_600_000).toISOString(), status: ['DEAD_LETTERED'], ratePerSecond: 2 } });
  recoveryId = (started.body['recovery'] as RecoveryDto).id;
  await eventually('recorded progress', async () => ((await api.read<RecoveryDto>(`/api/recoveries/${recoveryId}?siteId=${demo}`)).recovered >= 2 ? true : undefined));
  await stop();
  // Nobody sends: what is published now is scheduled, and waits.
  const quiet = await start(oldDir, { KF_ROLES: 'api,sagas' });
  await published(quiet, 'pending', 4);
  await inState(quiet, ids.pending, 'PENDING', 4);
  await stop();
}

/** A copy that is killed in its middle, while a server wants to start on the folder. */
async function killedCopy(): Promise<void> {
  target.misbehave.answerDelayMs = 30;
  const child = spawn(process.execPath, [program, oldDir], { stdio: 'ignore', env: { PATH: process.env['PATH'], KF_EVENT_STORE: target.url } });
  const ended = once(child, 'exit');
  try {
    await eventually('some events', () => (ours() >= 20 ? true : undefined), 20_000);
    whileCopying = await refusedStart({ KF_DATA_DIR: oldDir });
  } finally {
    child.kill('SIGKILL');
    await ended;
  }
  half = ours();
}

/** Ctrl-C on `kf`, in the rest of the copy. */
async function interruptedCopy(): Promise<void> {
  const child = spawn(process.execPath, [cli, 'log', 'copy', '--from', oldDir], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'], KF_EVENT_STORE: target.url } });
  const ended = once(child, 'close');
  let err = '';
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  await eventually('more events', () => (ours() >= half + 10 ? true : undefined), 20_000);
  child.kill('SIGINT');
  const [code] = (await ended) as [unknown];
  interrupted = { code, err };
  target.misbehave.behave();
}

beforeAll(async () => {
  [inbox, target] = await Promise.all([Inbox.start(), startEventStoreDb({ startPosition: 2n ** 54n })]);
  terminal = new Terminal({});
  await livesOnOneMachine();
  const old = await start(oldDir, { KF_ROLES: 'api' });
  whileItRan = await kfCopy();
  before = await everything(old);
  await stop();
  const store = await openSqliteEventStore({ dataDir: oldDir });
  await store.append('transcript-20200101.0', 'NO_STREAM', [{ id: 'b1a7c1c4-25c3-4a54-8f0c-0d7a0a2f6f10', type: 'WebhookTranscriptsRecorded', data: '{"transcripts":[]}', metadata: { recordedat: '2020-01-01T00:00:00.000Z', schemaversion: '1' } }]);
  await store.tombstone('transcript-20200101.0');
  await store.close();
  bytesBefore = sha256Hex(readFileSync(join(oldDir, 'events.db')));
  await killedCopy();
  await interruptedCopy();
  onHalf = await refusedStart({ ...onCopy(), KF_DATA_DIR: newDir });
  done = await kfCopy();
}, 180_000);

afterAll(async () => {
  await stop();
  await inbox?.close();
  await target?.stop();
  terminal?.end();
  for (const dir of [oldDir, newDir]) rmSync(dir, { recursive: true, force: true });
}, 60_000);

describe('kf log copy', () => {
  it('refuses a folder on which a server runs', () => {
    expect(whileItRan).toMatchObject({ code: 1, out: '' });
    expect(whileItRan.err).toContain(`the data folder ${oldDir} is in use by another process: stop the server on it first`);
  });

  it('keeps a server from starting on the folder meanwhile', () => {
    expect(whileCopying.code).toBe(1);
    expect(whileCopying.err).toContain('is in use by another process');
  });

  it('killed in its middle, leaves a copy on which no server starts', () => {
    expect(half).toBeGreaterThanOrEqual(20);
    expect(onHalf.code).toBe(1);
    expect(onHalf.err).toContain('the log holds events but no registered master key');
  });

  it('ends with Ctrl-C, and lets go of the folder', () => {
    expect(interrupted).toEqual({ code: 1, err: 'error: the copy was interrupted before it was complete. Run it again: it goes on where it was\n' });
  });

  it('goes on when it is run again, and ends with equal counts and digests', async () => {
    expect({ code: done.code, err: done.code === 0 ? '' : done.err }).toEqual({ code: 0, err: '' });
    const { events, alreadyThere, removedStreams, digest, targetDigest, equal, categories } = done.json as { readonly events: number; readonly alreadyThere: number; readonly removedStreams: number; readonly digest: string; readonly targetDigest: string; readonly equal: boolean; readonly categories: readonly { readonly source: number; readonly target: number }[] };
    const log = await readStoredLog(oldDir);
    expect({ events, removedStreams, equal, digest }).toEqual({ events: log.length, removedStreams: 1, equal: true, digest: targetDigest });
    expect(alreadyThere).toBeGreaterThanOrEqual(half - 1 + 10);
    expect(alreadyThere).toBeLessThan(events);
    expect(categories.every((count) => count.source === count.target)).toBe(true);
    expect(new Set(target.log.events.filter(({ stream }) => !stream.startsWith('$')).map(({ id }) => id)).size).toBe(events + 1);
    expect(done.err).toContain('Start no server on');
  });

  it('changes nothing in the folder', () => expect(sha256Hex(readFileSync(join(oldDir, 'events.db')))).toBe(bytesBefore));

  it('has the same bytes in the same order, master key last, each with its id', async () => {
    const isKey = ({ stream }: { readonly stream: string }): boolean => stream.startsWith('masterkey-');
    const log = await readStoredLog(oldDir);
    const inOrder = [...log.filter((event) => !isKey(event)), ...log.filter(isKey)];
    const copied = target.log.events.filter(({ stream, type }) => !stream.startsWith('$') && type !== '$streamDeleted');
    expect(copied.map(({ id, stream, revision }) => [id, stream, Number(revision)])).toEqual(inOrder.map(({ id, stream, revision }) => [id, stream, revision]));
    const moved = inOrder.filter(({ data }, index) => Buffer.from(copied[index]?.data ?? '').toString() !== data);
    expect(new Set(moved.map(({ type }) => type))).toEqual(new Set(['ApprovalUseMirrored', 'SagaCheckpointed', 'WebhookDeliveryScheduled', 'WebhookRecoveryProgressed']));
  });

  it('refuses a variable that names no target, and a folder without a log, which it does not make one', async () => {
    const noTarget = await terminal.run(`kf log copy --from '${oldDir}'`);
    expect(noTarget).toMatchObject({ code: 2, err: expect.stringContaining('KF_EVENT_STORE must be the connection string') });
    const nowhere = await terminal.run(`kf log copy --from nowhere`, { KF_EVENT_STORE: target.url });
    expect(nowhere).toMatchObject({ code: 2, err: expect.stringContaining('there is no events.db in') });
    const badTarget = await terminal.run(`kf log copy --from '${oldDir}'`, { KF_EVENT_STORE: 'esdb://me:hush-hush@127.0.0.1:1?tls=false' });
    expect(badTarget).toMatchObject({ code: 2, err: expect.stringContaining('has credentials and tls=false') });
    expect(badTarget.err).not.toContain('hush');
  });
});

describe('a server on the copy', () => {
  it('answers as the old one, but for positions, also when it is given the read models of the old log', async () => {
    copyFileSync(join(oldDir, 'read-models.db'), join(newDir, 'read-models.db'));
    const api = await start(newDir, { ...onCopy(), KF_ROLES: 'api' });
    const after = await everything(api);
    expect(Object.keys(after)).toEqual(Object.keys(before));
    for (const [path, answer] of Object.entries(before)) expect({ path, answer: after[path] }).toEqual({ path, answer });
    expect(readFileSync(join(newDir, 'server.log'), 'utf8')).toContain('"alarm":"read-models-remade"');
    await stop();
  }, 60_000);

  it('sends what was open exactly once each, and nothing that was delivered', async () => {
    const had = Object.fromEntries(Object.keys(ids).map((box) => [box, inbox.in(box).length]));
    const recovered = timesIn('lost', 9).length;
    answers.open = 200;
    const api = await start(newDir, onCopy());
    await Promise.all([inState(api, ids.failing, 'DELIVERED', 5), inState(api, ids.pending, 'DELIVERED', 4), inState(api, ids.lost, 'DELIVERED', 9)]);
    expect(timesIn('failing', had['failing'])).toEqual([1, 1, 1, 1, 1]);
    expect(timesIn('pending')).toEqual([1, 1, 1, 1]);
    expect([recovered >= 2 && recovered < 9, timesIn('lost', 9)]).toEqual([true, Array.from({ length: 9 }, () => 1)]);
    const recovery = await eventually('the end of the recovery', async () => {
      const now = await api.read<RecoveryDto>(`/api/recoveries/${recoveryId}?siteId=${demo}`);
      return now.status === 'RUNNING' ? undefined : now;
    });
    expect(recovery).toMatchObject({ status: 'FINISHED', total: 9, recovered: 9, skipped: 0 });
    expect([inbox.in('held').length, inbox.in('good').length]).toEqual([had['held'], 12]);
    await api.do('ResumeWebhookSubscription', { webhookSubscriptionId: ids.held });
    await inState(api, ids.held, 'DELIVERED', 3);
    expect(timesIn('held', had['held'])).toEqual([1, 1, 1]);
  }, 90_000);

  it('delivers what is published now, and what was missed can be recovered; both secrets of the grace window sign', async () => {
    const api = new Api(server?.url ?? '', keyIn('root.key'));
    await published(api, 'rotated', 2);
    const requests = await inbox.arrived('rotated', 2);
    expect(requests.map((request) => secrets.map((secret) => verifies(secret, request)))).toEqual([[true, true], [true, true]]);
    const { status } = await api.ask('POST', `/api/webhooks/${ids.held}/recover?siteId=${demo}`, { body: { since: new Date(Date.now() - 3_600_000).toISOString(), status: ['MISSED'] } });
    expect(status).toBe(201);
    await inState(api, ids.held, 'DELIVERED', 5);
  }, 60_000);

  it('has read models that are what its log says', async () => {
    const { code, out, err } = await terminal.run(`kf audit replay --site ${demo} --json`, { KF_SERVER: server?.url ?? '', KF_API_KEY: keyIn('root.key') });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toMatchObject({ equal: true });
  }, 60_000);

  it('is no target any more', async () => {
    await stop();
    expect(await kfCopy()).toMatchObject({ code: 1, err: expect.stringMatching(/the log has nothing, the target has .*Begin again with an empty EventStoreDB/) });
  }, 60_000);
});
