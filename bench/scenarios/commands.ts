import { randomUUID } from 'node:crypto';
import { startValidatingCeiling } from '../ceilings/validating.ts';
import { besideCeiling, type Work } from '../figure.ts';
import { type Client, connect } from '../http.ts';
import { drive } from '../load.ts';
import { type Scenario, timesOf } from '../run.ts';
import { newDataDir, startTested, type TestedServer } from '../server.ts';
import { alike, subscribe, tenant } from '../traffic.ts';

/** Of one turn. */
interface Size {
  readonly subscriptions: number;
  readonly bare: number;
  readonly commands: number;
  readonly rotations: number;
}

const full: Size = { subscriptions: 1_200, bare: 6_000, commands: 3_600, rotations: 200 };
const short: Size = { subscriptions: 50, bare: 300, commands: 100, rotations: 20 };
const concurrency = 64;
const requester = { type: 'USER', id: 'requester' };
const approver = { type: 'USER', id: 'approver' };

/** Commands through HTTP, beside Nest and Fastify with the same validation and nothing behind it. */
export const commands: Scenario = {
  name: 'commands',
  about: 'commands through HTTP',
  async figures(run) {
    const size = run.isShort ? short : full;
    const bare = await startValidatingCeiling();
    const bareClient = connect(bare.url, concurrency);
    const server = await startTested(run, await newDataDir(run, 'commands'));
    const approving = connect(server.url, concurrency, await approverKey(server));
    try {
      await subscribe(server, alike(size.subscriptions, (index) => ({ id: subscriptionOf(index, size), eventPattern: 'never.matched', targetUrl: run.receiver.url('ok', 'never') })));
      const ceiling: Work = { name: 'bare Nest + Fastify: validate a command', of: bare, do: repeated(size.bare, pauseOrResume(bareClient, size)) };
      const plain: Work = { name: 'Pause and Resume, ungated', of: server, do: repeated(size.commands, pauseOrResume(server.client, size)) };
      return await besideCeiling(timesOf(run), ceiling, [plain, ...gated(server, approving, size)]);
    } finally {
      await approving.close();
      await bareClient.close();
      await bare.end();
      await server.stop();
    }
  },
};

const subscriptionOf = (index: number, { subscriptions }: Size): string => `bench-${index % subscriptions}`;

/** So many operations in each turn; their numbers go on from turn to turn. */
const repeated =
  (operations: number, operation: (index: number) => Promise<void>) =>
  (time: number): Promise<number> =>
    drive({ operations, concurrency, maxMs: Infinity }, operation, time * operations);

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

/** Request, grant and use of approvals, each timed by itself. */
function gated(server: TestedServer, approving: Client, size: Size): readonly Work[] {
  const { client } = server;
  const expiresOn = new Date(Date.now() + 3_600_000).toISOString();
  const approvals: { readonly id: string; readonly revision: number }[] = [];
  const step = (name: string, operation: (index: number) => Promise<void>): Work => ({ name, of: server, do: repeated(size.rotations, operation) });
  return [
    step('request an approval', async (index) => {
      const payload = { commandType: 'RotateWebhookSubscriptionSecret', resourceId: subscriptionOf(index, size), expiresOn };
      const { resourceId, revision } = await command<{ resourceId: string; revision: number }>(client, 'RequestApproval', payload);
      approvals[index] = { id: resourceId, revision };
    }),
    step('grant it', async (index) => {
      const { id, revision } = approvals[index] ?? { id: '', revision: 0 };
      await command(approving, 'GrantApproval', { approvalId: id }, { actor: approver, expectedRevision: revision });
    }),
    step('Rotate, gated (finds the approval itself)', async (index) => {
      await command(client, 'RotateWebhookSubscriptionSecret', { webhookSubscriptionId: subscriptionOf(index, size) });
    }),
  ];
}

/** A key bound to the approver; it counts as an approver's once the read model knows it. */
async function approverKey({ client }: TestedServer): Promise<string> {
  const payload = { name: 'approver', scopes: [`site:${tenant}:read`, `site:${tenant}:approve`], actor: approver };
  const { position, result } = await command<{ position: string; result: { secret: string } }>(client, 'CreateApiKey', payload, { actor: { type: 'USER', id: 'root' } });
  await client.get(`/api/keys?waitFor=${position}`);
  return result.secret;
}
