import { type Cause, causedBy, type CommandOutput, type DomainEvent, type OpenInstances, placeOf, prefixOf, type RecordedEvent, type Saga, type Site, stored, type Stored, streamOf, type TombstoneOutput } from '#kernel';
import type { SecretVersion, SubscriptionEvent, SubscriptionSettings } from './events.ts';

const hourMs = 60 * 60 * 1000;
const dayMs = 24 * hourMs;

/** Removes a signing secret for good. Doing it twice is success. */
export interface ShredOutput {
  readonly do: 'shred';
  readonly site: Site;
  readonly versionId: string;
}

/** What has an end that comes by itself. */
export type Ending =
  /** A deleted subscription. `tries` counts the purges asked for: one that changed nothing is asked for again later. */
  | { readonly kind: 'deleted'; readonly purgeAtMs: number; readonly tries: number; readonly because: Cause }
  /** A stored version that no event names yet, or any more: of a secret, or of the value of a header. */
  | { readonly kind: 'unnamed'; readonly orphanAtMs: number }
  /** The transcripts: the next day to be dropped, counted from 1970-01-01 UTC. */
  | { readonly kind: 'transcripts'; readonly nextDay: number };

type Output = CommandOutput | ShredOutput | TombstoneOutput;
type Reacts = ReturnType<Saga<Ending, Output>['react']>;

export interface LifecycleOptions {
  /** Days for which transcripts are kept. */
  readonly historyDays: number;
  /** How many `transcript-<yyyymmdd>.<n>` streams a day has: n counts from 0. */
  readonly transcriptPartitions: number;
  /** How long a stored version may stay unnamed: far longer than any command takes, and than any process sends by what it read before. */
  readonly orphanAfterMs?: number;
}

const transcripts = 'transcripts';
const over: Reacts = { state: null, outputs: [] };

/**
 * Ends what has had its time: purges subscriptions when their 30 days are over and shreds their secrets, shreds secrets
 * that no event came to name and values of headers that are sent no longer, drops transcripts a whole day at a time. An
 * instance is a subscription's stream, the stream of a secret or value, or the transcripts as a whole.
 */
export const subscriptionLifecycle = ({ historyDays, transcriptPartitions, orphanAfterMs = hourMs }: LifecycleOptions): Saga<Ending, Output> => ({
  name: 'subscription-lifecycle',
  prefixes: [prefixOf('webhooksubscription'), prefixOf('signingsecret')],
  // A second record of a secret is a new seal of the same secret, not a new one.
  wants: ({ stream, type, revision }) => (stream.startsWith(prefixOf('signingsecret')) ? revision === 0 : subscriptionTypes.has(type)),
  instancesOf: (event, _origin, open) => [...concerned(event), ...transcriptsAtFirst(open)],
  react: (instance, state, input) => {
    if (input.kind === 'deadline') return state === null ? over : atDeadline(instance, state, input.nowMs, transcriptPartitions);
    if (instance === transcripts) return { state: state ?? { kind: 'transcripts', nextDay: dayOf(input.event) }, outputs: [] };
    if (!instance.startsWith(prefixOf('signingsecret'))) return onSubscription(instance, state, input.event);
    const isUnnamed = input.event.stream === instance || retiredBy(input.event).includes(instance);
    return isUnnamed ? { state: { kind: 'unnamed', orphanAtMs: stored(input.event).recordedAt + orphanAfterMs }, outputs: [] } : over;
  },
  deadlineOf: (state) => {
    switch (state.kind) {
      case 'deleted':
        return state.purgeAtMs;
      case 'unnamed':
        return state.orphanAtMs;
      case 'transcripts':
        // A day is dropped when even its last transcript has been kept long enough.
        return (state.nextDay + 1 + historyDays) * dayMs;
    }
  },
});

const subscriptionTypes: ReadonlySet<string> = new Set([
  'WebhookSubscriptionCreated',
  'WebhookSubscriptionUpdated',
  'WebhookSubscriptionSecretRotated',
  'WebhookSubscriptionDeleted',
  'WebhookSubscriptionRestored',
  'WebhookSubscriptionPurged',
] satisfies SubscriptionEvent['type'][]);

/** What names versions concerns the streams of these; everything else the stream it stands in. */
function concerned(event: RecordedEvent): readonly string[] {
  if (!naming.has(event.type)) return [event.stream];
  const { secret, headers = {} } = stored<Naming>(event).data;
  return [...streamsOf(event, [...(secret === undefined ? [] : [secret]), ...Object.values(headers)].map(({ versionId }) => versionId)), ...retiredBy(event)];
}

type Naming = DomainEvent<string, { readonly secret?: SecretVersion; readonly headers?: SubscriptionSettings['headers']; readonly retired?: readonly string[] }>;

const naming: ReadonlySet<string> = new Set(['WebhookSubscriptionCreated', 'WebhookSubscriptionUpdated', 'WebhookSubscriptionSecretRotated'] satisfies SubscriptionEvent['type'][]);

/** The streams of values that an update takes out of use. A secret that a rotation retires stays until the purge. */
const retiredBy = (event: RecordedEvent): readonly string[] => (event.type === 'WebhookSubscriptionUpdated' ? streamsOf(event, stored<Naming>(event).data.retired ?? []) : []);

const streamsOf = ({ stream }: RecordedEvent, versionIds: readonly string[]): readonly string[] => versionIds.map((versionId) => streamOf('signingsecret', placeOf(stream).site, versionId));

/** Transcripts begin with the first event followed, which is older than any of them. */
const transcriptsAtFirst = (open: OpenInstances<Ending>): readonly string[] => (open.has(transcripts) ? [] : [transcripts]);

const dayOf = (event: RecordedEvent): number => Math.floor(stored(event).recordedAt / dayMs);

function onSubscription(instance: string, state: Ending | null, recorded: RecordedEvent): Reacts {
  const event = stored<SubscriptionEvent>(recorded);
  switch (event.type) {
    case 'WebhookSubscriptionDeleted':
      return { state: { kind: 'deleted', purgeAtMs: Date.parse(event.data.purgeAt), tries: 0, because: causedBy(recorded) }, outputs: [] };
    case 'WebhookSubscriptionRestored':
      return over;
    case 'WebhookSubscriptionPurged':
      return { state: null, outputs: shredded(instance, event) };
    case 'WebhookSubscriptionCreated':
    case 'WebhookSubscriptionUpdated':
    case 'WebhookSubscriptionPaused':
    case 'WebhookSubscriptionResumed':
    case 'WebhookSubscriptionSecretRotated':
      return { state, outputs: [] };
  }
}

const shredded = (subscription: string, { data }: Stored<Extract<SubscriptionEvent, { type: 'WebhookSubscriptionPurged' }>>): readonly ShredOutput[] =>
  data.shreddedSecrets.map((versionId) => ({ do: 'shred', site: placeOf(subscription).site, versionId }));

function atDeadline(instance: string, state: Ending, nowMs: number, partitions: number): Reacts {
  switch (state.kind) {
    case 'deleted':
      // Over when the log says so. The decision has a clock of its own: where that one thinks it is too early, ask again.
      return { state: { ...state, purgeAtMs: nowMs + hourMs, tries: state.tries + 1 }, outputs: [purge(instance, state)] };
    case 'unnamed': {
      const { site, id: versionId } = placeOf(instance);
      return { state: null, outputs: [{ do: 'shred', site, versionId }] };
    }
    case 'transcripts':
      return { state: { ...state, nextDay: state.nextDay + 1 }, outputs: dayStreams(state.nextDay, partitions).map((stream) => ({ do: 'tombstone', stream })) };
  }
}

function purge(subscription: string, { tries, because }: Extract<Ending, { kind: 'deleted' }>): CommandOutput {
  const { site, id } = placeOf(subscription);
  return {
    do: 'command',
    key: `purge|${because.causationId}|${tries}`,
    site,
    commandType: 'PurgeWebhookSubscription',
    payload: { webhookSubscriptionId: id },
    settledBy: ['not-found'],
    because,
  };
}

const dayStreams = (day: number, partitions: number): readonly string[] => {
  const date = new Date(day * dayMs).toISOString().slice(0, 10).replaceAll('-', '');
  return Array.from({ length: partitions }, (_, partition) => `${prefixOf('transcript')}${date}.${partition}`);
};
