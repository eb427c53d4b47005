import { randomUUID } from 'node:crypto';
import { startProgram } from '../../test/support/program.ts';
import { type Figure, measure } from '../figure.ts';
import { type Client, connect } from '../http.ts';
import { drive } from '../load.ts';
import type { Size } from '../options.ts';
import { type Run, startTested, type TestedServer } from '../server.ts';
import { filler } from '../text.ts';

const tenant = 'bench';
const concurrency = 64;
const requester = { type: 'USER', id: 'requester' };
const approver = { type: 'USER', id: 'approver' };

const subscriptionOf = (index: number, { subscriptions }: Size): string => `bench-${index % subscriptions}`;

/** Sends a command under a key of its own and answers its answer. */
async function command<Answer>(client: Client, commandType: string, payload: object, more: object = {}): Promise<Answer> {
  const body = JSON.stringify({ tenant, actor: requester, ...more, payload });
  return JSON.parse(await client.post(`/api/commands/${commandType}`, body, { 'idempotency-key': randomUUID() })) as Answer;
}

/** Pause and Resume by turns over all subscriptions: the same subscription comes again only after all others. */
const pauseOrResume =
  (client: Client, size: Size) =>
  async (index: number): Promise<void> => {
    const commandType = Math.floor(index / size.subscriptions) % 2 === 0 ? 'PauseWebhookSubscription' : 'ResumeWebhookSubscription';
    await command(client, commandType, { webhookSubscriptionId: subscriptionOf(index, size) });
  };

const publishOne = (client: Client): (() => Promise<void>) => {
  const data = { filler: filler(1_024) };
  return async () => {
    const answer = await client.post(`/api/events?siteId=${tenant}`, JSON.stringify({ eventId: randomUUID(), type: 'bench.published', data }));
    if (!answer.includes('"ACCEPTED"')) throw new Error(`the event was not accepted: ${answer}`);
  };
};

/** Commands through HTTP, each kind beside Nest and Fastify with the same validation and nothing behind it. */
export async function commandFigures(run: Run, size: Size): Promise<readonly Figure[]> {
  const bare = startProgram(new URL('../ceilings/bare-nest.ts', import.meta.url));
  const { url } = await bare.message((message: { url: string }): message is { url: string } => 'url' in message);
  const server = await startTested(run, 'commands', concurrency);
  const bareClient = connect(url, concurrency);
  try {
    await subscribe(server, size);
    const commandCeiling = await timed('bare Nest + Fastify: validate a command', bare.pid, size.ceilingRequests, size, pauseOrResume(bareClient, size));
    const commands = await timed('Pause and Resume, ungated', server, size.commands, size, pauseOrResume(server.client, size), commandCeiling);
    const gated = await rotations(server, size, commandCeiling);
    const publishCeiling = await timed('bare Nest + Fastify: validate an event', bare.pid, size.ceilingRequests, size, publishOne(bareClient));
    const published = await timed('publish one event of 1 KB', server, size.publications, size, publishOne(server.client), publishCeiling);
    return [commandCeiling, server.withPeak(commands), ...gated, publishCeiling, server.withPeak(published)];
  } finally {
    await bareClient.close();
    await bare.end();
    await server.stop();
  }
}

async function subscribe({ client }: TestedServer, size: Size): Promise<void> {
  const one = async (index: number): Promise<void> => {
    const rest = { eventPattern: 'never.matched', targetUrl: 'http://127.0.0.1:9/', signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };
    await command(client, 'UpsertWebhookSubscription', { webhookSubscriptionId: subscriptionOf(index, size), ...rest });
  };
  await drive({ operations: size.subscriptions, concurrency, maxMs: 60_000 }, one);
}

/** A tenth of the work first, so that what is measured is compiled code; the numbers go on where that ended. */
async function timed(name: string, measured: TestedServer | number, operations: number, size: Size, operation: (index: number) => Promise<void>, ceiling: Figure | null = null): Promise<Figure> {
  const load = { concurrency, maxMs: size.maxMsEach };
  const warm = await drive({ ...load, operations: Math.ceil(operations / 10) }, operation);
  const process = typeof measured === 'number' ? { pid: measured } : measured;
  return measure(name, process, () => drive({ ...load, operations }, operation, warm), ceiling);
}

/** Request, grant and use of approvals, each timed by itself. */
async function rotations(server: TestedServer, size: Size, ceiling: Figure): Promise<readonly Figure[]> {
  const { client } = server;
  const approving = server.connect(concurrency, await approverKey(server));
  const expiresOn = new Date(Date.now() + 3_600_000).toISOString();
  const approvals: { readonly id: string; readonly revision: number }[] = [];
  const load = { operations: Math.min(size.rotations, size.subscriptions), concurrency, maxMs: size.maxMsEach };
  const step = (name: string, operation: (index: number) => Promise<void>): Promise<Figure> => measure(name, server, () => drive(load, operation), ceiling);
  const requested = await step('request an approval', async (index) => {
    const payload = { commandType: 'RotateWebhookSubscriptionSecret', resourceId: subscriptionOf(index, size), expiresOn };
    const { resourceId, revision } = await command<{ resourceId: string; revision: number }>(client, 'RequestApproval', payload);
    approvals[index] = { id: resourceId, revision };
  });
  const granted = await step('grant it', async (index) => {
    const { id, revision } = approvals[index] ?? { id: '', revision: 0 };
    await command(approving, 'GrantApproval', { approvalId: id }, { actor: approver, expectedRevision: revision });
  });
  const rotated = await step('Rotate, gated (finds the approval itself)', async (index) => {
    await command(client, 'RotateWebhookSubscriptionSecret', { webhookSubscriptionId: subscriptionOf(index, size) });
  });
  await approving.close();
  return [requested, granted, rotated];
}

/** A key bound to the approver; it counts as an approver's once the read model knows it. */
async function approverKey({ client }: TestedServer): Promise<string> {
  const payload = { name: 'approver', scopes: [`site:${tenant}:read`, `site:${tenant}:approve`], actor: approver };
  const { position, result } = await command<{ position: string; result: { secret: string } }>(client, 'CreateApiKey', payload, { actor: { type: 'USER', id: 'root' } });
  await client.get(`/api/keys?waitFor=${position}`);
  return result.secret;
}
