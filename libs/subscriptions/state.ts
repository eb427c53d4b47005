import type { Position, Stored } from '#kernel';
import type { HeaderVersion, PauseReason, SecretVersion, SubscriptionEvent, SubscriptionSettings } from './events.ts';

/** A replaced secret that is still sent beside the new one until `graceUntilMs`. */
export interface GraceSecret extends SecretVersion {
  readonly graceUntilMs: number;
}

interface Existing extends SubscriptionSettings {
  /** The id of the creation event: a subscription deleted, purged and created again is another one. */
  readonly incarnation: string;
  readonly secret: SecretVersion;
  readonly previousSecret: GraceSecret | null;
  /** Every version of a signing secret that this incarnation ever named: what a purge shreds, and the values of its headers. */
  readonly secretVersionIds: readonly string[];
  /** Where it was last deleted, also when it was restored since: deliveries that were open then stay cancelled. */
  readonly lastDeletedPosition: Position | null;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

export type LiveStatus = { readonly status: 'ACTIVE' } | { readonly status: 'PAUSED'; readonly pausedReason: PauseReason };

export type LiveSubscription = Existing & LiveStatus;
export type DeletedSubscription = Existing & { readonly status: 'DELETED'; readonly before: LiveStatus; readonly deletedAtMs: number; readonly purgeAtMs: number };

/** `NONE` before the first creation and after a purge. */
export type SubscriptionState = { readonly status: 'NONE' } | LiveSubscription | DeletedSubscription;

export const initialSubscription: SubscriptionState = { status: 'NONE' };

/** Folds one event of a subscription's stream. An event that cannot follow the state is a broken log: it throws. */
export function evolveSubscription(state: SubscriptionState, event: Stored<SubscriptionEvent>): SubscriptionState {
  if (event.type === 'WebhookSubscriptionCreated') return created(event);
  if (state.status === 'NONE') throw new TypeError(`${event.type} at ${event.position} without a subscription`);
  const updated = { ...state, updatedAtMs: event.recordedAt };
  switch (event.type) {
    case 'WebhookSubscriptionUpdated':
      return withSettings(updated, event.data);
    case 'WebhookSubscriptionPaused':
      return { ...live(updated), status: 'PAUSED', pausedReason: event.data.reason };
    case 'WebhookSubscriptionResumed':
      return { ...live(updated), status: 'ACTIVE' };
    case 'WebhookSubscriptionSecretRotated':
      return rotated(updated, event.data);
    case 'WebhookSubscriptionDeleted':
      return { ...deleted(live(updated), event.recordedAt, Date.parse(event.data.purgeAt)), lastDeletedPosition: event.position };
    case 'WebhookSubscriptionRestored':
      return restored(updated);
    case 'WebhookSubscriptionPurged':
      return initialSubscription;
  }
}

type Update = Extract<SubscriptionEvent, { type: 'WebhookSubscriptionUpdated' }>['data'];

/** An update says all settings: an option that it does not name holds no longer. */
function withSettings(state: LiveSubscription | DeletedSubscription, { retired: _, ...settings }: Update): LiveSubscription | DeletedSubscription {
  const { filter, timeoutMs, retryScheduleMs, rateLimitPerSecond, labels, headers, ...rest } = state;
  return { ...rest, ...settings };
}

function created(event: Stored<Extract<SubscriptionEvent, { type: 'WebhookSubscriptionCreated' }>>): SubscriptionState {
  const { status, secret, ...settings } = event.data;
  const existing: Existing = {
    ...settings,
    incarnation: event.id,
    secret,
    previousSecret: null,
    secretVersionIds: [secret.versionId],
    lastDeletedPosition: null,
    createdAtMs: event.recordedAt,
    updatedAtMs: event.recordedAt,
  };
  return status === 'ACTIVE' ? { ...existing, status } : { ...existing, status, pausedReason: 'requested' };
}

type Rotation = Extract<SubscriptionEvent, { type: 'WebhookSubscriptionSecretRotated' }>['data'];

function rotated<State extends Existing>(state: State, { secret, previous }: Rotation): State {
  return {
    ...state,
    secret,
    previousSecret: previous === null ? null : { ...state.secret, graceUntilMs: Date.parse(previous.graceUntil) },
    secretVersionIds: [...state.secretVersionIds, secret.versionId],
  };
}

function live(state: LiveSubscription | DeletedSubscription): LiveSubscription {
  if (state.status === 'DELETED') throw new TypeError('a deleted subscription changed its status without a restore');
  return state;
}

const deleted = (state: LiveSubscription, deletedAtMs: number, purgeAtMs: number): DeletedSubscription => ({
  ...state,
  before: state.status === 'ACTIVE' ? { status: 'ACTIVE' } : { status: 'PAUSED', pausedReason: state.pausedReason },
  status: 'DELETED',
  deletedAtMs,
  purgeAtMs,
});

function restored(state: LiveSubscription | DeletedSubscription): LiveSubscription {
  if (state.status !== 'DELETED') throw new TypeError('a subscription that was not deleted was restored');
  const { before, deletedAtMs, purgeAtMs, status, ...rest } = state;
  return { ...rest, ...before };
}

/** The secret versions that sign a request now: the current one, and within its grace window the one before. */
export function signingSecrets(state: LiveSubscription | DeletedSubscription, nowMs: number): readonly SecretVersion[] {
  const { secret, previousSecret } = state;
  return previousSecret !== null && nowMs < previousSecret.graceUntilMs ? [secret, previousSecret] : [secret];
}

/** The versions of the values that the headers of its own have. */
export const headerVersions = ({ headers = {} }: SubscriptionSettings): readonly HeaderVersion[] => Object.values(headers);
