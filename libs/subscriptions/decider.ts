import { type Accepted, canonicalJson, type Decision, formatInstant, type Json, refuse, type Refusal, type Secret } from '#kernel';
import type { HeaderVersion, PauseReason, SecretVersion, SubscriptionEvent, SubscriptionSettings } from './events.ts';
import { type DeletedSubscription, headerVersions, type LiveSubscription, type SubscriptionState } from './state.ts';

/** A deleted subscription can be restored for this long; then it is purged and its secrets are shredded. */
export const tombstoneDays = 30;
export const defaultGraceSeconds = 24 * 60 * 60;
export const maxGraceSeconds = 7 * 24 * 60 * 60;
/** How long a request may take as a whole where a subscription does not say. */
export const defaultTimeoutMs = 15_000;

/** A signing secret as a command proposes it: its name, and when it is ours to keep, its key. */
export interface ProposedSecret {
  readonly version: SecretVersion;
  /** For `managed`: the key bytes to seal before an event names them. */
  readonly key: Secret<Uint8Array> | null;
  /** We made it, so the answer shows it once; one the caller chose is not shown back. */
  readonly generated: boolean;
}

/** The value of a header as a command proposes it: its name, and what to seal before an event names it. */
export interface ProposedValue {
  readonly version: HeaderVersion;
  readonly value: Secret<Uint8Array>;
}

export type SubscriptionCommand =
  | { readonly do: 'upsert'; readonly id: string; readonly settings: SubscriptionSettings; readonly status: 'ACTIVE' | 'PAUSED'; readonly secret: ProposedSecret; /** Those that the settings name and the vault has not. */ readonly values: readonly ProposedValue[] }
  | { readonly do: 'pause'; readonly id: string; readonly reason: PauseReason }
  | { readonly do: 'resume'; readonly id: string }
  | { readonly do: 'delete'; readonly id: string; readonly nowMs: number }
  | { readonly do: 'restore'; readonly id: string; readonly nowMs: number }
  | { readonly do: 'rotate'; readonly id: string; readonly nowMs: number; readonly graceSeconds: number; readonly secret: ProposedSecret }
  | { readonly do: 'purge'; readonly id: string; readonly nowMs: number };

/** The decision, and the secret and the values of headers it made use of (none when nothing changed). */
export type SubscriptionDecision = Decision<SubscriptionEvent> & { readonly secret?: ProposedSecret; readonly values?: readonly ProposedValue[] };

/** What a command does to a subscription: the facts, nothing, or a refusal. */
export function decideSubscription(state: SubscriptionState, command: SubscriptionCommand): SubscriptionDecision {
  switch (command.do) {
    case 'upsert':
      return upsert(state, command);
    case 'pause':
      return onLive(state, command.id, (live) => (live.status === 'PAUSED' ? nothing(command.id, 'PAUSED') : happened(command.id, 'PAUSED', { type: 'WebhookSubscriptionPaused', data: { reason: command.reason } })));
    case 'resume':
      return onLive(state, command.id, (live) => (live.status === 'ACTIVE' ? nothing(command.id, 'ACTIVE') : happened(command.id, 'ACTIVE', { type: 'WebhookSubscriptionResumed', data: {} })));
    case 'delete':
      return remove(state, command.id, command.nowMs);
    case 'restore':
      return restore(state, command.id, command.nowMs);
    case 'rotate':
      return onLive(state, command.id, (live) => rotate(live, command));
    case 'purge':
      return purge(state, command.id, command.nowMs);
  }
}

const accepted = (id: string, status: string, events: readonly SubscriptionEvent[], more: object = {}): Accepted<SubscriptionEvent> => ({
  events,
  result: { webhookSubscriptionId: id, status, ...more },
});
const happened = (id: string, status: string, event: SubscriptionEvent): Accepted<SubscriptionEvent> => accepted(id, status, [event]);
const nothing = (id: string, status: string): Accepted<SubscriptionEvent> => accepted(id, status, []);

/** What is said of an id that no subscription has, or has any more. */
export const subscriptionNotFound = (id: string): Refusal<'not-found'> => refuse('not-found', `There is no webhook subscription ${id} in this tenant and environment.`);
const isDeleted = (id: string, state: DeletedSubscription): Refusal<'subscription-deleted'> =>
  refuse('subscription-deleted', `Webhook subscription ${id} was deleted; it can be restored until ${formatInstant(state.purgeAtMs)}.`, { purgeAt: formatInstant(state.purgeAtMs) });

/** The refusal of whatever needs a subscription that is there: `not-found`, or `subscription-deleted` until the purge. */
export const refuseMissing = (id: string, state: { readonly status: 'NONE' } | DeletedSubscription): Refusal<'not-found' | 'subscription-deleted'> =>
  state.status === 'NONE' ? subscriptionNotFound(id) : isDeleted(id, state);

const onLive = (state: SubscriptionState, id: string, then: (live: LiveSubscription) => SubscriptionDecision): SubscriptionDecision =>
  state.status === 'NONE' || state.status === 'DELETED' ? refuseMissing(id, state) : then(state);

type Upsert = Extract<SubscriptionCommand, { do: 'upsert' }>;

function upsert(state: SubscriptionState, command: Upsert): SubscriptionDecision {
  const { id, status, secret, values } = command;
  if (state.status === 'DELETED') return isDeleted(id, state);
  if (state.status === 'NONE') {
    const created: SubscriptionEvent = { type: 'WebhookSubscriptionCreated', data: { ...command.settings, status, secret: secret.version } };
    return { ...accepted(id, status, [created], { created: true }), secret, values };
  }
  if (!meansTheSameSecret(state.secret, secret)) {
    return refuse('secret-change-needs-rotation', `Webhook subscription ${id} signs with another secret. An upsert never changes it: use RotateWebhookSubscriptionSecret, or repeat the present reference ("managed" for a secret kept here).`);
  }
  const settings = withKeptValues(state, command.settings);
  const named = new Set(headerVersions(settings).map(({ versionId }) => versionId));
  return { ...accepted(id, status, [...settingsChange(state, settings), ...statusChange(state, status)], { created: false }), values: values.filter(({ version }) => named.has(version.versionId)) };
}

/** A header that is given the value it has keeps the version it has. */
function withKeptValues({ headers: present = {} }: LiveSubscription, settings: SubscriptionSettings): SubscriptionSettings {
  if (settings.headers === undefined) return settings;
  const kept = Object.entries(settings.headers).map(([name, version]) => [name, present[name]?.fingerprint === version.fingerprint ? present[name] : version] as const);
  return { ...settings, headers: Object.fromEntries(kept) };
}

/** `managed` means "the one you keep"; an imported key is compared by its keyed fingerprint, a reference by its name. */
function meansTheSameSecret(current: SecretVersion, proposed: ProposedSecret): boolean {
  if (current.kind !== proposed.version.kind) return false;
  if (current.kind !== 'managed') return current.reference === proposed.version.reference;
  return proposed.generated || current.fingerprint === proposed.version.fingerprint;
}

function settingsChange(state: LiveSubscription, settings: SubscriptionSettings): SubscriptionEvent[] {
  const names = ['eventPattern', 'filter', 'targetUrl', 'deliveryMode', 'description', 'timeoutMs', 'retryScheduleMs', 'rateLimitPerSecond', 'labels', 'headers'] as const;
  if (names.every((name) => isSame(state[name], settings[name]))) return [];
  const named = headerVersions(settings).map(({ versionId }) => versionId);
  const retired = headerVersions(state).flatMap(({ versionId }) => (named.includes(versionId) ? [] : [versionId]));
  return [{ type: 'WebhookSubscriptionUpdated', data: { ...settings, ...(retired.length === 0 ? {} : { retired }) } }];
}

const isSame = (a: Json | undefined, b: Json | undefined): boolean => a === b || (a !== undefined && b !== undefined && canonicalJson(a) === canonicalJson(b));

function statusChange(state: LiveSubscription, status: 'ACTIVE' | 'PAUSED'): SubscriptionEvent[] {
  if (state.status === status) return [];
  return status === 'ACTIVE' ? [{ type: 'WebhookSubscriptionResumed', data: {} }] : [{ type: 'WebhookSubscriptionPaused', data: { reason: 'requested' } }];
}

function remove(state: SubscriptionState, id: string, nowMs: number): SubscriptionDecision {
  if (state.status === 'NONE') return subscriptionNotFound(id);
  if (state.status === 'DELETED') return accepted(id, 'DELETED', [], { purgeAt: formatInstant(state.purgeAtMs) });
  const purgeAt = formatInstant(nowMs + tombstoneDays * 24 * 60 * 60 * 1000);
  return accepted(id, 'DELETED', [{ type: 'WebhookSubscriptionDeleted', data: { purgeAt } }], { purgeAt });
}

function restore(state: SubscriptionState, id: string, nowMs: number): SubscriptionDecision {
  if (state.status === 'NONE') return subscriptionNotFound(id);
  if (state.status !== 'DELETED') return nothing(id, state.status);
  if (nowMs >= state.purgeAtMs) return subscriptionNotFound(id);
  return happened(id, state.before.status, { type: 'WebhookSubscriptionRestored', data: {} });
}

type Rotate = Extract<SubscriptionCommand, { do: 'rotate' }>;

function rotate(state: LiveSubscription, { id, nowMs, graceSeconds, secret }: Rotate): SubscriptionDecision {
  if (!secret.generated && meansTheSameSecret(state.secret, secret)) return accepted(id, state.status, [], { secretVersionId: state.secret.versionId, graceUntil: null });
  const graceUntil = graceSeconds === 0 ? null : formatInstant(nowMs + graceSeconds * 1000);
  const older = state.previousSecret !== null && nowMs < state.previousSecret.graceUntilMs ? [state.previousSecret.versionId] : [];
  const rotated: SubscriptionEvent = {
    type: 'WebhookSubscriptionSecretRotated',
    data: {
      secret: secret.version,
      previous: graceUntil === null ? null : { versionId: state.secret.versionId, graceUntil },
      retired: graceUntil === null ? [...older, state.secret.versionId] : older,
    },
  };
  return { ...accepted(id, state.status, [rotated], { secretVersionId: secret.version.versionId, graceUntil }), secret };
}

/** Not a mistake of the caller's: the saga asks again after every restart, and an operator may have restored it meanwhile. */
function purge(state: SubscriptionState, id: string, nowMs: number): SubscriptionDecision {
  if (state.status !== 'DELETED' || nowMs < state.purgeAtMs) return nothing(id, state.status);
  return happened(id, 'NONE', { type: 'WebhookSubscriptionPurged', data: { shreddedSecrets: [...state.secretVersionIds, ...headerVersions(state).map(({ versionId }) => versionId)] } });
}
