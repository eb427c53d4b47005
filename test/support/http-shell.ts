import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { RefusedRequest } from '#audit';
import { keySecretBytes, keySha256, makeKeyText } from '#access';
import type { CommandAnswer, CommandRequest, DryRunAnswer, EventToPublish, Published, Publisher } from '#command-pipeline';
import { type Refusal, refuse, Secret } from '#kernel';
import { type ApiKeyItem, type Committed, type ProjectionStatus, untriedHealth } from '#read-models';
import { createMemoryEventStore } from '#event-store/memory';
import { createLog, createMetrics } from '#telemetry';
import { openRootKey } from '../../apps/server/access/root-key.ts';
import { createHttpApp, type ShellParts } from '../../apps/server/http-server.ts';
import type { Sharing } from '../../apps/server/parts.ts';
import { mustKeepContract } from './e2e/contract.ts';
import { type SimulatedClock, simulatedClock } from './simulated-clock.ts';
import { seededIds } from './seeded-ids.ts';

export const rootKeyText = 'root-key-for-tests-0123456789-abcdef';

/** The HTTP shell on fakes: what it was asked stands in lists, what it answers is set by the test. */
export interface Shell {
  readonly app: NestFastifyApplication;
  readonly clock: SimulatedClock;
  readonly commands: CommandRequest[];
  readonly published: { readonly publisher: Publisher; readonly event: EventToPublish }[];
  /** What was handed over to be put on record. */
  readonly refused: { readonly request: RefusedRequest; readonly refusal: Refusal }[];
  readonly keys: Map<string, ApiKeyItem>;
  readonly logLines: string[];
  answerCommand: (request: CommandRequest) => CommandAnswer | Refusal | Promise<CommandAnswer | Refusal>;
  answerDryRun: (request: CommandRequest) => DryRunAnswer;
  answerPublish: (event: EventToPublish, index: number) => Published | Refusal;
  projections: ProjectionStatus[];
  readonly commit: (batch: Committed) => void;
  /** Makes a key and answers its text. */
  readonly key: (scopes: readonly string[], more?: Partial<ApiKeyItem>) => string;
  readonly send: (method: string, url: string, options?: SendOptions) => Promise<Sent>;
  readonly close: () => Promise<void>;
}

export interface SendOptions {
  /** The text of a key; null: none. The root key when left out. */
  readonly key?: string | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is, or a value to be written as JSON. */
  readonly body?: unknown;
}

export interface Sent {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** One process that has its log for itself, and only answers. */
export const alone: Sharing = {
  by: 'none',
  own: { id: 'p1', process: 'here (process 1)' },
  all: { sagas: ['fan-out'], partitions: [0, 1, 2, 3] },
  doing: () => ({ roles: [{ role: 'api', state: 'HELD', why: null }], sagas: [], partitions: [] }),
  others: () => [],
  unheard: () => null,
};

const running: ProjectionStatus = { name: 'api-keys', state: 'RUNNING', position: '10', behindMs: 0, poison: null };

export const commandAnswer = (request: CommandRequest): CommandAnswer => ({
  commandId: '3f1c9c1e-8f5e-5d6b-9a55-0f6a3f0b7f0e',
  commandType: request.commandType,
  resourceId: 'orders',
  outcome: 'APPLIED',
  revision: 1,
  position: '10',
  replayed: false,
  result: { webhookSubscriptionId: 'orders', ...(request.commandType === 'TestWebhookSubscription' ? { deliveryId: 'dlv_1', eventId: 'evt_1' } : {}) },
  secret: null,
});

export async function startShell({ version = '0.0.0-test', ...overrides }: Partial<ShellParts> & { readonly version?: string } = {}): Promise<Shell> {
  const clock = simulatedClock();
  const ids = seededIds(7);
  const listeners: ((batch: Committed) => void)[] = [];
  const logLines: string[] = [];
  const commands: CommandRequest[] = [];
  const published: { publisher: Publisher; event: EventToPublish }[] = [];
  const refused: { request: RefusedRequest; refusal: Refusal }[] = [];
  const keys = new Map<string, ApiKeyItem>();
  const emptyPage = Promise.resolve({ items: [], nextCursor: null });

  const parts: ShellParts = {
    clock,
    ids,
    log: createLog('info', { write: (line) => void logLines.push(line) }),
    metrics: createMetrics({ now: () => clock.now(), openDeliveries: () => Promise.resolve({ count: 0, oldestAtMs: null }), projections: () => shell.projections, endpointsFailing: () => 0 }),
    rootKey: openRootKey('/nowhere', new Secret(rootKeyText), ids),
    commands: {
      execute: async (request) => {
        commands.push(request);
        return await shell.answerCommand(request);
      },
      dryRun: (request) => {
        commands.push(request);
        return Promise.resolve(shell.answerDryRun(request));
      },
    },
    publishing: {
      publish: (publisher, event) => {
        published.push({ publisher, event });
        return Promise.resolve(shell.answerPublish(event, published.length - 1));
      },
    },
    probing: { probe: () => Promise.reject(new Error('no probe in this test')) },
    projections: {
      status: () => shell.projections,
      onCommitted: (listener) => {
        listeners.push(listener);
        return () => undefined;
      },
      waitFor: () => Promise.resolve('reached'),
      rebuild: () => ({ done: Promise.resolve() }),
      replay: () => refuse('concurrent-modification', 'There is nothing to replay in this test.'),
    },
    reads: {
      apiKeyById: (keyId) => Promise.resolve(keys.get(keyId)),
      listApiKeys: () => Promise.resolve({ items: [...keys.values()], nextCursor: null }),
      listApprovals: () => emptyPage,
      listSubscriptions: () => emptyPage,
      listRecoveries: () => emptyPage,
      subscriptionHealth: () => Promise.resolve(untriedHealth),
      listDeliveries: () => emptyPage,
      delivery: () => Promise.resolve(undefined),
      transcripts: () => Promise.resolve([]),
      event: () => Promise.resolve(undefined),
    },
    storyReads: {
      subscriptionVersions: () => Promise.resolve([]),
      signedAttempts: () => Promise.resolve({ attempts: [], looked: 0, next: null }),
      publishedIds: () => Promise.resolve([]),
    },
    logReader: createMemoryEventStore(),
    refusals: { record: (request, refusal) => void refused.push({ request, refusal }), list: () => emptyPage },
    backups: { begin: () => Promise.resolve(refuse('concurrent-modification', 'There is nothing to copy in this test.')), content: () => Promise.resolve(undefined) },
    current: {
      head: () => Promise.resolve('10'),
      approval: () => Promise.resolve(undefined),
      policy: () => Promise.reject(new Error('no policy in this test')),
      command: () => Promise.resolve(undefined),
      subscription: () => Promise.resolve(undefined),
      delivery: () => Promise.resolve(undefined),
      recovery: () => Promise.resolve(undefined),
      wireBody: () => Promise.resolve(null),
    },
    facts: { version, startedAtMs: clock.now(), roles: ['api'], stopping: false, troubles: () => [], openDeliveries: () => Promise.resolve(0), fanOut: () => undefined, sharing: alone },
    ...overrides,
  };

  const shell: Shell = {
    app: undefined as unknown as NestFastifyApplication,
    clock,
    commands,
    published,
    refused,
    keys,
    logLines,
    answerCommand: commandAnswer,
    answerDryRun: ({ commandType }) => ({ commandId: 'c', commandType, resourceId: 'orders', outcome: 'NO_CHANGE', events: [], unmet: [] }),
    answerPublish: ({ eventId }, index) => ({ status: 'ACCEPTED', commandId: 'c', eventId: eventId ?? `evt_${index}`, position: String(index + 1), idempotent: eventId !== null }),
    projections: [running],
    commit: (batch) => listeners.forEach((listener) => listener(batch)),
    key: (scopes, more = {}) => addKey(keys, ids.randomBytes(keySecretBytes), scopes, more),
    send: (method, url, options = {}) => send(shell.app, method, url, options),
    close: () => shell.app.close(),
  };
  Object.assign(shell, { app: await createHttpApp(parts) });
  await shell.app.getHttpAdapter().getInstance().ready();
  return shell;
}

function addKey(keys: Map<string, ApiKeyItem>, random: Uint8Array, scopes: readonly string[], more: Partial<ApiKeyItem>): string {
  const id = `key_${String(keys.size).padStart(26, '0')}`;
  const text = makeKeyText(id, random);
  const key: ApiKeyItem = {
    id,
    site: { tenant: 'acme', environment: 'production' },
    name: 'a key',
    scopes,
    actor: null,
    anyActor: true,
    defaultActor: { type: 'SERVICE', id: 'registry' },
    owner: { type: 'USER', id: 'sam' },
    createdBy: null,
    expiresOnMs: null,
    keySha256: keySha256(text),
    revision: 1,
    createdAtMs: 0,
    revokedAtMs: null,
    ...more,
  };
  keys.set(id, key);
  return text.reveal();
}

const bodyOf = (body: unknown): { payload?: string | Buffer } =>
  body === undefined ? {} : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) };

const textOf = (header: number | string | readonly string[] | undefined): string | undefined => (header === undefined ? undefined : String(header));

async function send(app: NestFastifyApplication, method: string, url: string, { key = rootKeyText, headers = {}, body }: SendOptions): Promise<Sent> {
  const authorization = key === null ? {} : { authorization: `Bearer ${key}` };
  const contentType = body === undefined ? {} : { 'content-type': 'application/json' };
  const answer = await app.inject({ method: method as 'GET', url, headers: { ...authorization, ...contentType, ...headers }, ...bodyOf(body) });
  mustKeepContract({ method, url, status: answer.statusCode, header: (name) => textOf(answer.headers[name]), text: answer.body });
  const isJson = String(answer.headers['content-type']).includes('json') && answer.body !== '';
  return { status: answer.statusCode, headers: answer.headers, text: answer.body, body: isJson ? (JSON.parse(answer.body) as Record<string, unknown>) : {} };
}
