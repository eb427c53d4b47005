import { parseFilter } from '#event-filter';
import { formatRetrySchedule, isRefusal, type Json, type JsonObject, parseRetrySchedule, refuse, type Refusal, type RetrySchedule } from '#kernel';
import { formatSigningSecret } from '#secret-vault';
import {
  decideSubscription,
  defaultGraceSeconds,
  defaultTimeoutMs,
  type DeliveryMode,
  evolveSubscription,
  initialSubscription,
  parsePattern,
  type PauseReason,
  type ProposedSecret,
  type ProposedValue,
  type SubscriptionCommand,
  type SubscriptionEvent,
  subscriptionNotFound,
  type SubscriptionSettings,
  type SubscriptionState,
} from '#subscriptions';
import type { CommandDefinition, Context, Decided, MadeSecrets, Seal } from '../definition.ts';
import { numberOr, text, textOr, textsOf } from '../payload.ts';
import { completeHeaders, headersNow, proposeHeaders } from './headers.ts';
import { proposeSecret } from './secret-reference.ts';

type SubscriptionDefinition = CommandDefinition<SubscriptionState, Prepared, SubscriptionEvent>;

/** A command, and what the creation event of a new subscription will be called. */
interface Prepared {
  readonly command: SubscriptionCommand;
  readonly firstEventId: string;
}

export const subscriptionFold = { initialState: initialSubscription, evolve: evolveSubscription };

const prepared = ({ firstEventId }: Context, command: SubscriptionCommand): Prepared => ({ command, firstEventId });

/** What every command on a subscription shares. */
const onSubscription = {
  category: 'webhooksubscription',
  idMember: 'webhookSubscriptionId',
  fold: () => subscriptionFold,
  incarnation: (state: SubscriptionState) => (state.status === 'NONE' ? 'NONE' : state.incarnation),
  decide: (state: SubscriptionState, { command, firstEventId }: Prepared): Decided<SubscriptionEvent> => {
    const decision = decideSubscription(state, command);
    if (isRefusal(decision)) return decision;
    const { events, result, secret, values = [] } = decision;
    const incarnation = state.status === 'NONE' ? firstEventId : state.incarnation;
    return { events, result, made: madeSecrets({ subscriptionId: command.id, incarnation }, secret, values) };
  },
} as const;

function madeSecrets(of: Pick<Seal, 'subscriptionId' | 'incarnation'>, proposed: ProposedSecret | undefined, values: readonly ProposedValue[]): MadeSecrets {
  const key = proposed?.key ?? null;
  const signing = proposed === undefined || key === null ? [] : [{ ...of, versionId: proposed.version.versionId, secret: key }];
  const headers = values.map(({ version, value }) => ({ ...of, versionId: version.versionId, secret: value }));
  return { seals: [...signing, ...headers], reveal: proposed?.generated === true && key !== null ? formatSigningSecret(key) : null };
}

/** An upsert that changes the status needs what Pause or Resume needs. */
function upsertGates(state: SubscriptionState, payload: JsonObject): readonly string[] {
  const status = payload['status'];
  if ((state.status !== 'ACTIVE' && state.status !== 'PAUSED') || state.status === status) return ['UpsertWebhookSubscription'];
  return ['UpsertWebhookSubscription', status === 'PAUSED' ? 'PauseWebhookSubscription' : 'ResumeWebhookSubscription'];
}

/** What a new subscription has where the request does not say. */
const defaults = { signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' };

/** The settings as an upsert says them; null: not set. */
function settingsNow(settings: SubscriptionSettings): JsonObject {
  const { eventPattern, filter, targetUrl, deliveryMode, description, timeoutMs, retryScheduleMs, rateLimitPerSecond, labels } = settings;
  const retrySchedule = retryScheduleMs === undefined ? null : formatRetrySchedule(retryScheduleMs).join(',');
  return { eventPattern, filter: filter ?? null, targetUrl, deliveryMode, description, timeoutMs: timeoutMs ?? null, retrySchedule, rateLimit: rateLimitPerSecond ?? null, labels: labels ?? null, headers: headersNow(settings) };
}

/** An upsert that names a subscription and no secret changes what it says, and leaves everything else as it is now. */
function completeUpsert(state: SubscriptionState, received: JsonObject, id: string): JsonObject | Refusal {
  const payload = completeHeaders(state, received);
  if (isRefusal(payload)) return payload;
  if (payload['webhookSubscriptionId'] === undefined || payload['signingSecretRef'] !== undefined) return { ...defaults, ...payload };
  if (state.status === 'NONE') return subscriptionNotFound(id);
  const { status } = state.status === 'DELETED' ? state.before : state;
  const whole: JsonObject = { ...settingsNow(state), status, signingSecretRef: state.secret.reference ?? 'managed', ...payload };
  // Without what is not set the payload is as `kf webhook upsert-subscription` sends it: what is approved for one holds for the other.
  return Object.fromEntries(Object.entries(whole).filter(([, value]) => isSet(value)));
}

/** Nothing, and nothing of something, are the same. */
const isSet = (value: Json): boolean => value !== null && (typeof value !== 'object' || Object.keys(value).length > 0);

const upsert: SubscriptionDefinition = {
  ...onSubscription,
  type: 'UpsertWebhookSubscription',
  idPrefix: 'whs',
  complete: completeUpsert,
  gates: upsertGates,
  prepare: async (context, { state }) => {
    const { request, resourceId, world } = context;
    const { payload } = request;
    const refusal = refuseFilter(textOr(payload, 'filter', null)) ?? (await world.refuseTarget(text(payload, 'targetUrl')));
    if (refusal !== undefined) return refusal;
    const secret = await proposeSecret(context, text(payload, 'signingSecretRef'));
    if (isRefusal(secret)) return secret;
    const { headers, values } = await proposeHeaders(context, state);
    const settings = { ...settingsOf(payload), ...(Object.keys(headers).length === 0 ? {} : { headers }) };
    return prepared(context, { do: 'upsert', id: resourceId, settings, status: text(payload, 'status') as 'ACTIVE' | 'PAUSED', secret, values });
  },
  settle: dispatcherSees,
};

function refuseFilter(filter: string | null): Refusal | undefined {
  const read = filter === null ? undefined : parseFilter(filter);
  if (read === undefined || !('malformed' in read)) return undefined;
  const message = `the filter ${read.malformed}`;
  return refuse('validation-failed', message, { errors: [{ path: 'payload.filter', message }] });
}

/** Without the options that say what holds anyway. */
function settingsOf(payload: JsonObject): SubscriptionSettings {
  const timeoutMs = numberOr(payload, 'timeoutMs', defaultTimeoutMs);
  const filter = textOr(payload, 'filter', null);
  const retryScheduleMs = scheduleOf(payload);
  const rateLimitPerSecond = numberOr(payload, 'rateLimit', undefined);
  const labels = textsOf(payload, 'labels');
  return {
    eventPattern: normalPattern(text(payload, 'eventPattern')),
    ...(filter === null ? {} : { filter }),
    targetUrl: text(payload, 'targetUrl'),
    deliveryMode: text(payload, 'deliveryMode') as DeliveryMode,
    description: textOr(payload, 'description', null),
    ...(timeoutMs === defaultTimeoutMs ? {} : { timeoutMs }),
    ...(retryScheduleMs === undefined ? {} : { retryScheduleMs }),
    ...(rateLimitPerSecond === undefined ? {} : { rateLimitPerSecond }),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  };
}

function scheduleOf(payload: JsonObject): RetrySchedule | undefined {
  const given = textOr(payload, 'retrySchedule', null);
  if (given === null) return undefined;
  const schedule = parseRetrySchedule(given);
  if ('malformed' in schedule) throw new TypeError(`payload.retrySchedule ${schedule.malformed}`);
  return schedule;
}

/** One spelling for patterns that mean the same: no blanks, no item twice. */
function normalPattern(pattern: string): string {
  const globs = parsePattern(pattern);
  return 'malformed' in globs ? pattern : globs.join(',');
}

const pause: SubscriptionDefinition = {
  ...onSubscription,
  type: 'PauseWebhookSubscription',
  gates: () => ['PauseWebhookSubscription'],
  prepare: async (context) => {
    const { request, resourceId } = context;
    // Only sagas give another reason; over HTTP the member does not exist.
    const reason = request.caller === null ? (textOr(request.payload, 'reason', 'requested') as PauseReason) : 'requested';
    return await Promise.resolve(prepared(context, { do: 'pause', id: resourceId, reason }));
  },
  settle: dispatcherSees,
};

const resume: SubscriptionDefinition = {
  ...onSubscription,
  type: 'ResumeWebhookSubscription',
  gates: () => ['ResumeWebhookSubscription'],
  prepare: (context) => Promise.resolve(prepared(context, { do: 'resume', id: context.resourceId })),
};

const remove: SubscriptionDefinition = {
  ...onSubscription,
  type: 'DeleteWebhookSubscription',
  gates: () => ['DeleteWebhookSubscription'],
  prepare: (context) => Promise.resolve(prepared(context, { do: 'delete', id: context.resourceId, nowMs: context.nowMs })),
  settle: dispatcherSees,
};

const restore: SubscriptionDefinition = {
  ...onSubscription,
  type: 'RestoreWebhookSubscription',
  gates: () => ['RestoreWebhookSubscription'],
  prepare: (context) => Promise.resolve(prepared(context, { do: 'restore', id: context.resourceId, nowMs: context.nowMs })),
};

const rotate: SubscriptionDefinition = {
  ...onSubscription,
  type: 'RotateWebhookSubscriptionSecret',
  gates: () => ['RotateWebhookSubscriptionSecret'],
  prepare: async (context) => {
    const { request, resourceId, nowMs } = context;
    const secret = await proposeSecret(context, textOr(request.payload, 'signingSecretRef', 'managed'));
    if (isRefusal(secret)) return secret;
    return prepared(context, { do: 'rotate', id: resourceId, nowMs, graceSeconds: numberOr(request.payload, 'graceSeconds', defaultGraceSeconds), secret });
  },
};

/** The lifecycle saga's: no caller can send it. */
const purge: SubscriptionDefinition = {
  ...onSubscription,
  type: 'PurgeWebhookSubscription',
  prepare: (context) => Promise.resolve(prepared(context, { do: 'purge', id: context.resourceId, nowMs: context.nowMs })),
};

/** The answer to a pause or a delete goes out when no attempt starts after it. */
async function dispatcherSees({ world, request, resourceId }: Omit<Context, 'firstEventId'>, _loaded: unknown, { result }: { readonly result: JsonObject }): Promise<undefined> {
  const status = result['status'];
  if (typeof status === 'string' && status !== 'ACTIVE') await world.dispatcherHasSeen(request.site, resourceId, status);
}

export const subscriptionCommands = [upsert, pause, resume, remove, restore, rotate, purge] as const;
