import { isLedgerEvent, type RecordedEvent, stored, type Stored } from '#kernel';
import type { DeliveryMode, SubscriptionEvent } from './events.ts';

/** What a version records of a subscription. */
export interface VersionSettings {
  readonly incarnation: string;
  readonly eventPattern: string;
  readonly filter: string | null;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  readonly deliveryMode: DeliveryMode;
}

type Of<Type extends SubscriptionEvent['type']> = Stored<Extract<SubscriptionEvent, { type: Type }>>;

const statusAfter: ReadonlyMap<string, VersionSettings['status']> = new Map([
  ['WebhookSubscriptionPaused', 'PAUSED'],
  ['WebhookSubscriptionResumed', 'ACTIVE'],
  ['WebhookSubscriptionDeleted', 'DELETED'],
] satisfies [SubscriptionEvent['type'], VersionSettings['status']][]);

/**
 * What a subscription's version is after an event of its stream, given what it was before (undefined: not known, or there was none);
 * undefined: there is none. `untold` where the event does not say it: a restored subscription has the status from before its
 * deletion, an update leaves open most of one that is not known, and a type that is not known may mean anything. Throws when the
 * event can't be read.
 */
export function versionAfter(before: VersionSettings | undefined, event: RecordedEvent): VersionSettings | undefined | 'untold' {
  const status = statusAfter.get(event.type);
  if (status !== undefined) return before === undefined ? undefined : { ...before, status };
  if (isLedgerEvent(event) || event.type === ('WebhookSubscriptionSecretRotated' satisfies SubscriptionEvent['type'])) return before;
  switch (event.type) {
    case 'WebhookSubscriptionCreated':
      return created(stored<Of<'WebhookSubscriptionCreated'>>(event));
    case 'WebhookSubscriptionUpdated':
      return before === undefined ? 'untold' : { ...before, ...patternOf(stored<Of<'WebhookSubscriptionUpdated'>>(event)) };
    case 'WebhookSubscriptionPurged':
      return undefined;
    default:
      return 'untold';
  }
}

const created = (event: Of<'WebhookSubscriptionCreated'>): VersionSettings => ({ incarnation: event.id, ...patternOf(event), status: event.data.status });

const patternOf = ({ data }: Of<'WebhookSubscriptionCreated' | 'WebhookSubscriptionUpdated'>): Pick<VersionSettings, 'eventPattern' | 'filter' | 'deliveryMode'> => ({ eventPattern: data.eventPattern, filter: data.filter ?? null, deliveryMode: data.deliveryMode });
