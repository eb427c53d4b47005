import type { CommandAnswer } from '#command-pipeline';
import type { EventStore } from '#event-store';
import { canonicalJson, comparePositions, isRefusal, type JsonObject, type LedgerEvent, placeOf, type Position, type RecordedEvent, startOfLog, stored } from '#kernel';
import { formatSigningSecret, type SecretVault } from '#secret-vault';
import type { SubscriptionEvent } from '#subscriptions';
import { site } from './installation.ts';
import type { Operation } from './scenario.ts';

/** A revoke or withdrawal that was acknowledged, and where the log ended then. */
export interface Ended {
  readonly approvalId: string;
  readonly head: Position;
}

type Executed = RecordedEvent & { readonly receipt: Extract<LedgerEvent, { type: 'CommandExecuted' }>['data'] };

/** Everything that must be true of a log and of what clients were answered. Each sentence returned is a broken promise. */
export async function brokenPromises(store: EventStore, vault: SecretVault, operations: readonly Operation[], ended: readonly Ended[]): Promise<readonly string[]> {
  const { events } = await store.readAll(startOfLog, undefined, 1_000_000);
  const executed: Executed[] = events.filter(({ type }) => type === 'CommandExecuted').map((event) => ({ ...event, receipt: stored<Extract<LedgerEvent, { type: 'CommandExecuted' }>>(event).data }));
  return [
    ...atMostOneEffectPerKey(executed),
    ...atMostOneUsePerApproval(events),
    ...gatedEffectsConsume(events),
    ...endedApprovalsStayUnused(events, ended),
    ...acknowledgedStands(executed, operations),
    ...oneRequestPerKey(operations),
    ...secretsShownOnce(operations),
    ...(await secretsAreKept(events, vault)),
    ...(await secretsShownAreStored(events, executed, vault, operations)),
    ...(await headersAreKept(events, vault, operations)),
  ];
}

const groups = <T>(items: readonly T[], key: (item: T) => string): (readonly [string, readonly T[]])[] => [...Map.groupBy(items, key)];

const atMostOneEffectPerKey = (executed: readonly Executed[]): string[] =>
  groups(executed, ({ receipt }) => receipt.commandId).flatMap(([commandId, all]) => (all.length > 1 ? [`command ${commandId} took effect ${all.length} times`] : []));

const rotations = (events: readonly RecordedEvent[]): readonly RecordedEvent[] => events.filter(({ type }) => type === 'WebhookSubscriptionSecretRotated');

const atMostOneUsePerApproval = (events: readonly RecordedEvent[]): string[] =>
  groups(rotations(events), ({ metadata }) => metadata['approvalid'] ?? 'none').flatMap(([approvalId, all]) => (approvalId !== 'none' && all.length > 1 ? [`approval ${approvalId} was used ${all.length} times`] : []));

const gatedEffectsConsume = (events: readonly RecordedEvent[]): string[] =>
  rotations(events).flatMap((rotation) => {
    const next = events.find(({ stream, revision }) => stream === rotation.stream && revision === rotation.revision + 1);
    const consumes = next?.type === 'ApprovalConsumed' && next.metadata['commandid'] === rotation.metadata['commandid'];
    return consumes ? [] : [`the rotation at ${rotation.position} consumed no approval in its own append`];
  });

const endedApprovalsStayUnused = (events: readonly RecordedEvent[], ended: readonly Ended[]): string[] =>
  ended.flatMap(({ approvalId, head }) =>
    rotations(events)
      .filter(({ position, metadata }) => metadata['approvalid'] === approvalId && comparePositions(position, head) > 0)
      .map(({ position }) => `approval ${approvalId} was used at ${position}, after its end was acknowledged at ${head}`),
  );

const successes = ({ answers }: Operation): readonly CommandAnswer[] => answers.filter((answer): answer is CommandAnswer => !isRefusal(answer));

const acknowledgedStands = (executed: readonly Executed[], operations: readonly Operation[]): string[] =>
  operations.flatMap((operation) =>
    successes(operation).flatMap((answer) => {
      const receipt = executed.find((one) => one.receipt.commandId === answer.commandId)?.receipt;
      if (receipt === undefined) return [`command ${answer.commandId} was acknowledged and is not in the log`];
      return canonicalJson(receipt.result) === canonicalJson(answer.result) ? [] : [`command ${answer.commandId} was answered with another result than its receipt's`];
    }),
  );

/** All that was acknowledged under one key was asked with one and the same request. */
const oneRequestPerKey = (operations: readonly Operation[]): string[] =>
  groups(
    operations.filter((operation) => successes(operation).length > 0),
    ({ request }) => request.idempotencyKey,
  ).flatMap(([key, all]) => {
    const requests = new Set(all.map(({ request }) => canonicalJson({ type: request.commandType, actor: { ...request.actor } as unknown as JsonObject, payload: request.payload })));
    return requests.size > 1 ? [`key ${key} was acknowledged for ${requests.size} different requests`] : [];
  });

const secretsShownOnce = (operations: readonly Operation[]): string[] =>
  groups(
    operations.flatMap(successes).filter(({ secret }) => secret !== null),
    ({ commandId }) => commandId,
  ).flatMap(([commandId, all]) => (all.length > 1 ? [`the secret of command ${commandId} was shown ${all.length} times`] : []));

const versionOf = (event: RecordedEvent): { versionId: string; kind: 'managed' } | undefined => {
  if (event.type !== 'WebhookSubscriptionCreated' && event.type !== 'WebhookSubscriptionSecretRotated') return undefined;
  const { data } = stored<Extract<SubscriptionEvent, { type: 'WebhookSubscriptionCreated' | 'WebhookSubscriptionSecretRotated' }>>(event);
  return { versionId: data.secret.versionId, kind: 'managed' };
};

function openNamed(events: readonly RecordedEvent[], vault: SecretVault, event: RecordedEvent): Promise<string> {
  const name = versionOf(event);
  const created = events.find(({ stream, type }) => stream === event.stream && type === 'WebhookSubscriptionCreated');
  if (name === undefined || created === undefined) throw new TypeError(`${event.type} names no secret`);
  const subscriptionId = event.stream.slice(event.stream.indexOf(`${site.environment}.`) + site.environment.length + 1);
  return vault.open({ site, subscriptionId, incarnation: created.id }, name).then((key) => formatSigningSecret(key).reveal());
}

async function secretsAreKept(events: readonly RecordedEvent[], vault: SecretVault): Promise<string[]> {
  const naming = events.filter((event) => versionOf(event) !== undefined);
  const outcomes = await Promise.allSettled(naming.map((event) => openNamed(events, vault, event)));
  return outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [`${naming[index]?.type} at ${naming[index]?.position} names a secret that was never stored: ${String(outcome.reason)}`] : []));
}

async function secretsShownAreStored(events: readonly RecordedEvent[], executed: readonly Executed[], vault: SecretVault, operations: readonly Operation[]): Promise<string[]> {
  const broken: string[] = [];
  for (const answer of operations.flatMap(successes)) {
    if (answer.secret === null) continue;
    const receipt = executed.find((one) => one.receipt.commandId === answer.commandId);
    const naming = events.find((event) => event.metadata['commandid'] === answer.commandId && event.stream === receipt?.stream && versionOf(event) !== undefined);
    const kept = naming === undefined ? undefined : await openNamed(events, vault, naming).catch(() => undefined);
    if (kept !== answer.secret.reveal()) broken.push(`command ${answer.commandId} showed a secret that is not the stored one`);
  }
  return broken;
}

/** The headers that an acknowledged command left behind have the values that it gave, whatever stood there before. */
async function headersAreKept(events: readonly RecordedEvent[], vault: SecretVault, operations: readonly Operation[]): Promise<string[]> {
  const broken: string[] = [];
  for (const { request, commandId } of operations.flatMap((operation) => successes(operation).map((answer) => ({ request: operation.request, commandId: answer.commandId })))) {
    const event = events.find(({ type, metadata }) => metadata['commandid'] === commandId && (type === 'WebhookSubscriptionCreated' || type === 'WebhookSubscriptionUpdated'));
    if (event === undefined) continue;
    const given = Object.entries((request.payload['headers'] ?? {}) as Readonly<Record<string, string>>).map(([name, value]) => `${name.toLowerCase()}=${value}`);
    const kept = await headersOf(events, vault, event).catch((error: unknown) => [String(error)]);
    if (kept.join() !== given.join()) broken.push(`command ${commandId} gave the headers ${given.join()} and left ${kept.join()}`);
  }
  return broken;
}

async function headersOf(events: readonly RecordedEvent[], vault: SecretVault, event: RecordedEvent): Promise<readonly string[]> {
  const { headers = {} } = stored<Extract<SubscriptionEvent, { type: 'WebhookSubscriptionCreated' | 'WebhookSubscriptionUpdated' }>>(event).data;
  const incarnation = events.find(({ stream, type }) => stream === event.stream && type === 'WebhookSubscriptionCreated')?.id ?? '';
  const place = { site, subscriptionId: placeOf(event.stream).id, incarnation };
  return await Promise.all(Object.entries(headers).map(async ([name, { versionId }]) => `${name}=${Buffer.from((await vault.open(place, { versionId, kind: 'managed' })).reveal()).toString()}`));
}

/** What housekeeping owes when everything has come to rest: each use stands in its approval's stream, each end of a granted approval on its resource. */
export async function outOfStep(store: EventStore): Promise<readonly string[]> {
  const { events } = await store.readAll(startOfLog, undefined, 1_000_000);
  const approvalOf = (event: RecordedEvent): string => event.stream.slice(event.stream.lastIndexOf('.') + 1);
  const has = (type: string, approvalId: string): boolean => events.some((event) => event.type === type && (event.metadata['approvalid'] === approvalId || approvalOf(event) === approvalId));
  const used = events.filter(({ type }) => type === 'ApprovalConsumed').map(({ metadata }) => metadata['approvalid'] ?? '');
  const ended = events.filter(({ type }) => type === 'ApprovalRevoked' || type === 'ApprovalWithdrawn').map(approvalOf);
  return [
    ...used.filter((approvalId) => !has('ApprovalUseMirrored', approvalId)).map((approvalId) => `the use of ${approvalId} was never mirrored`),
    ...ended.filter((approvalId) => !has('ApprovalFenced', approvalId) && !used.includes(approvalId)).map((approvalId) => `${approvalId} was ended and never fenced`),
  ];
}
