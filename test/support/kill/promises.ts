import { comparePositions, type LedgerEvent, parseStream, placeOf, type Receipt, type RecordedEvent, stored } from '#kernel';
import { eventPublished, readPublishedEvent } from '#publishing';
import type { SecretVault } from '#secret-vault';
import type { SubscriptionEvent } from '#subscriptions';
import { steady, toggled } from './installation.ts';
import type { LoggedAttempt } from '../soak/promises.ts';
import { type Acknowledged, shownSecret } from './governed.ts';

// What must be true of a log and of what clients were answered, whenever the server was killed. Each sentence that is
// answered is a broken promise.

export type Pair = `${string} ${string}`;

const receipts = (events: readonly RecordedEvent[]): readonly (RecordedEvent & { readonly receipt: Receipt })[] =>
  events.filter(({ type }) => type === 'CommandExecuted').map((event) => ({ ...event, receipt: stored<Extract<LedgerEvent, { type: 'CommandExecuted' }>>(event).data }));

const repeated = (names: readonly string[]): readonly string[] => [...Map.groupBy(names, (name) => name)].flatMap(([name, all]) => (all.length > 1 ? [name] : []));

/** Every acknowledged command has one receipt with what was answered; every effect stands before the receipt of its command. */
export function receiptsAreEffects(events: readonly RecordedEvent[], acknowledged: readonly Acknowledged[]): readonly string[] {
  const executed = receipts(events);
  const byCommand = new Map(executed.map((event) => [event.receipt.commandId, event.receipt]));
  const unreceipted = acknowledged.filter(({ commandId, outcome, revision }) => {
    const receipt = byCommand.get(commandId);
    return receipt?.outcome !== outcome || receipt.revision !== revision;
  });
  const governed = /^(webhooksubscription|approval|apikey)-/;
  const effects = events.filter(({ stream, type, metadata }) => governed.test(stream) && type !== 'CommandExecuted' && metadata['commandid'] !== undefined);
  const followed = new Set(executed.map(({ stream, receipt }) => `${stream} ${receipt.commandId}`));
  return [
    ...repeated(executed.map(({ receipt }) => receipt.commandId)).map((commandId) => `command ${commandId} has several receipts`),
    ...unreceipted.map(({ commandType, commandId }) => `${commandType} ${commandId} was acknowledged and has no such receipt`),
    ...effects.filter(({ stream, metadata }) => !followed.has(`${stream} ${metadata['commandid']}`)).map(({ type, position }) => `${type} at ${position} has no receipt in its stream`),
  ];
}

/** Every rotation consumed one approval in its own append, and no approval was consumed twice. */
export function rotationsConsume(events: readonly RecordedEvent[], acknowledged: readonly Acknowledged[]): readonly string[] {
  const byPlace = new Map(events.map((event) => [`${event.stream} ${event.revision}`, event]));
  const rotations = events.filter(({ type }) => type === 'WebhookSubscriptionSecretRotated');
  const consumedBy = ({ stream, revision }: RecordedEvent): RecordedEvent | undefined => byPlace.get(`${stream} ${revision + 1}`);
  const consumptions = events.filter(({ type }) => type === 'ApprovalConsumed').map((event) => stored<Extract<LedgerEvent, { type: 'ApprovalConsumed' }>>(event).data.approvalId);
  const wanted = acknowledged.filter(({ commandType }) => commandType === 'RotateWebhookSubscriptionSecret').length;
  return [
    ...rotations.filter((event) => consumedBy(event)?.type !== 'ApprovalConsumed' || consumedBy(event)?.metadata['commandid'] !== event.metadata['commandid']).map(({ position }) => `the rotation at ${position} consumed no approval`),
    ...repeated(consumptions).map((approvalId) => `approval ${approvalId} was consumed more than once`),
    ...(rotations.length === wanted ? [] : [`${wanted} rotations were acknowledged and ${rotations.length} took place`]),
  ];
}

/** Which events the log says must reach which subscriptions: those that were active after everything before the event. */
export function expectedDeliveries(events: readonly RecordedEvent[]): ReadonlySet<Pair> {
  const active = new Set<string>();
  return new Set(events.toSorted((a, b) => comparePositions(a.position, b.position)).flatMap((event) => expectedOf(event, active)));
}

const receiving: ReadonlySet<string> = new Set([...steady, ...toggled]);

function expectedOf(event: RecordedEvent, active: Set<string>): readonly Pair[] {
  if (event.type === eventPublished) {
    const { eventId, operational } = readPublishedEvent(event);
    return operational ? [] : [...active].map((id): Pair => `${id} ${eventId}`);
  }
  const id = parseStream(event.stream)?.id ?? '';
  if (event.type === 'WebhookSubscriptionPaused') active.delete(id);
  if (receiving.has(id) && ['WebhookSubscriptionResumed', 'WebhookSubscriptionCreated'].includes(event.type)) active.add(id);
  return [];
}

/** A secret that was chosen or shown is the one the vault holds, and none was shown twice. */
export async function secretsAreKept(events: readonly RecordedEvent[], acknowledged: readonly Acknowledged[], vault: SecretVault): Promise<readonly string[]> {
  const naming = new Map(events.filter(({ type }) => type === 'WebhookSubscriptionCreated' || type === 'WebhookSubscriptionSecretRotated').map((event) => [event.metadata['commandid'], event]));
  const incarnations = new Map(events.filter(({ type }) => type === 'WebhookSubscriptionCreated').map(({ stream, id }) => [stream, id]));
  const known = acknowledged.flatMap((answer) => {
    const secret = shownSecret(answer) ?? answer.chosenSecret;
    return secret === null ? [] : [{ ...answer, secret }];
  });
  const kept = await Promise.all(
    known.map(async ({ commandId, resourceId: subscriptionId, secret }) => {
      const event = naming.get(commandId);
      if (event === undefined) return 'is named by no event';
      const { data } = stored<Extract<SubscriptionEvent, { type: 'WebhookSubscriptionCreated' | 'WebhookSubscriptionSecretRotated' }>>(event);
      const key = await vault.open({ site: placeOf(event.stream).site, subscriptionId, incarnation: incarnations.get(event.stream) ?? '' }, { versionId: data.secret.versionId, kind: 'managed' });
      return Buffer.from(key.reveal()).toString('base64') === secret.slice('whsec_'.length) ? null : 'is not the one in the vault';
    }),
  );
  const shown = acknowledged.flatMap((answer) => shownSecret(answer) ?? []);
  return [...kept.flatMap((wrong, index) => (wrong === null ? [] : [`the secret of command ${known[index]?.commandId} ${wrong}`])), ...repeated(shown).map(() => 'a secret was shown twice')];
}

/** One life of a server: until it was killed, or asked to end. */
export interface Life {
  readonly fromMs: number;
  readonly toMs: number;
  readonly isKilled: boolean;
}

/** A request, and the life of the server in which it was sent. */
export interface SentIn {
  readonly deliveryId: string;
  readonly life: number;
}

/**
 * Every request has an attempt in the log, except those that were under way when the server was killed, or not recorded yet: of a
 * delivery that can be one in each life, because the next one is sent when the one before is recorded. No attempt is there that nobody saw.
 */
export function requestsAreAttempts(requests: readonly SentIn[], attempts: readonly LoggedAttempt[], lives: readonly Life[]): readonly string[] {
  const lifeOf = ({ startedAtMs }: LoggedAttempt): number => lives.findIndex(({ fromMs, toMs }) => fromMs <= startedAtMs && startedAtMs <= toMs);
  const sent = Map.groupBy(requests, ({ deliveryId, life }) => `${deliveryId} in life ${life}`);
  const recorded = Map.groupBy(attempts, (attempt) => `${attempt.deliveryId} in life ${lifeOf(attempt)}`);
  const unrecorded = [...sent].flatMap(([name, all]) => {
    const count = all.length - (recorded.get(name)?.length ?? 0);
    const most = all.some(({ life }) => lives[life]?.isKilled) ? 1 : 0;
    return count <= most ? [] : [`${count} requests of ${name} have no attempt in the log`];
  });
  const unseen = [...recorded].flatMap(([name, all]) => {
    const count = all.filter(({ status }) => status !== null).length - (sent.get(name)?.length ?? 0);
    return count <= 0 ? [] : [`${count} attempts of ${name} were answered by nobody`];
  });
  return [...unrecorded, ...unseen];
}
