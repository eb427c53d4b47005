import { prefixOf, type Projection, type RecordedEvent, resourceOf, type Rows, type Site, type Table } from '#kernel';
import { evolveSubscription, globMatches, initialSubscription, namesOperationalEvents, subscriptionEvent, type SubscriptionState } from '#subscriptions';
import { type PublishedEvent, readPublishedEvent } from './events.ts';

/** How many events of a type a site has published so far. */
export interface EventCountRow {
  readonly tenant: string;
  readonly environment: string;
  readonly type: string;
  readonly operational: number;
  readonly count: number;
}

/** What a subscription missed in its current or last pause: `missed`, and while `counting` all that was published since `countedUpTo`. */
export interface MissedRow {
  readonly tenant: string;
  readonly environment: string;
  readonly subscriptionId: string;
  readonly eventPattern: string;
  readonly counting: number;
  /** How many matching events the site had published when the count began. */
  readonly countedUpTo: number;
  readonly missed: number;
  readonly state: string;
}

export const eventCountTable: Table<EventCountRow> = {
  name: 'event_counts',
  columns: { tenant: 'text', environment: 'text', type: 'text', operational: 'integer', count: 'integer' },
  key: ['tenant', 'environment', 'type', 'operational'],
};

export const missedTable: Table<MissedRow> = {
  name: 'missed_while_paused',
  columns: {
    tenant: 'text',
    environment: 'text',
    subscriptionId: 'text',
    eventPattern: 'text',
    counting: 'integer',
    countedUpTo: 'integer',
    missed: 'integer',
    state: 'text',
  },
  key: ['tenant', 'environment', 'subscriptionId'],
};

/** How many of the counted events a pattern matches. */
export function countMatching(eventPattern: string, counts: readonly Pick<EventCountRow, 'type' | 'operational' | 'count'>[]): number {
  const globs = eventPattern.split(',').map((glob) => glob.trim());
  const matches = (type: string, operational: boolean): boolean => globs.some((glob) => (!operational || namesOperationalEvents(glob)) && globMatches(glob, type));
  return counts.reduce((sum, { type, operational, count }) => sum + (matches(type, operational === 1) ? count : 0), 0);
}

/** What was missed up to the counts given. */
export const missedSoFar = (row: Pick<MissedRow, 'eventPattern' | 'counting' | 'countedUpTo' | 'missed'>, counts: readonly Pick<EventCountRow, 'type' | 'operational' | 'count'>[]): number =>
  row.missed + (row.counting === 1 ? countMatching(row.eventPattern, counts) - row.countedUpTo : 0);

/**
 * What paused subscriptions miss. Counts per event type and takes differences when a pause, or a pattern, begins and
 * ends, so that the cost of an event does not grow with the number of paused subscriptions.
 */
export const missedProjection: Projection = {
  name: 'missed-while-paused',
  version: 1,
  prefixes: [prefixOf('event'), prefixOf('webhooksubscription')],
  tables: [eventCountTable, missedTable],
  apply(event, rows) {
    if (event.stream.startsWith(prefixOf('event'))) count(readPublishedEvent(event), rows);
    else changed(event, rows);
  },
};

function count({ tenant, environment, type, operational }: PublishedEvent, rows: Rows): void {
  const key = { tenant, environment, type, operational: Number(operational) };
  const row = rows.get(eventCountTable, [tenant, environment, type, key.operational]);
  rows.put(eventCountTable, { ...key, count: (row?.count ?? 0) + 1 });
}

function changed(event: RecordedEvent, rows: Rows): void {
  const fact = subscriptionEvent(event);
  if (fact === undefined) return;
  const { site, id } = resourceOf(event);
  const row = rows.get(missedTable, [site.tenant, site.environment, id]);
  const state = evolveSubscription(row === undefined ? initialSubscription : (JSON.parse(row.state) as SubscriptionState), fact);
  const anew = fact.type === 'WebhookSubscriptionCreated' || fact.type === 'WebhookSubscriptionPaused' || row === undefined;
  rows.put(missedTable, { ...site, subscriptionId: id, ...counter(state, site, rows), missed: anew ? 0 : missedSoFar(row, countsOf(site, rows)), state: JSON.stringify(state) });
}

function counter(state: SubscriptionState, site: Site, rows: Rows): Pick<MissedRow, 'eventPattern' | 'counting' | 'countedUpTo'> {
  if (state.status !== 'PAUSED') return { eventPattern: state.status === 'NONE' ? '' : state.eventPattern, counting: 0, countedUpTo: 0 };
  return { eventPattern: state.eventPattern, counting: 1, countedUpTo: countMatching(state.eventPattern, countsOf(site, rows)) };
}

const countsOf = (site: Site, rows: Rows): readonly EventCountRow[] => rows.list(eventCountTable, [site.tenant, site.environment]);
