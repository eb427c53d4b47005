import { type Cause, causedBy, deliveryId, formatInstant, type NewEvent, outputId, type RecordedEvent, streamOf } from '#kernel';
import type { DeliveryEvent } from './events.ts';

/** What fan-out needs to know of a published event (`PublishedEvent` of the publishing lib has this shape). */
export interface FannedOut {
  readonly eventId: string;
  readonly type: string;
  readonly tenant: string;
  readonly environment: string;
  readonly recordedAtMs: number;
  readonly operational: boolean;
}

/** Who gets it: one subscription, as it was at the event's position. */
export interface Receiver {
  readonly subscriptionId: string;
  readonly incarnation: string;
}

/** What schedules it, and why. */
export interface ScheduledBy {
  readonly saga: string;
  readonly because: Cause;
}

/** A delivery to be scheduled: the first event of a stream that must not exist yet. */
export interface ScheduledDelivery {
  readonly stream: string;
  readonly event: NewEvent;
}

/**
 * The delivery of a published event to one receiver. Its stream and its event's id follow from the event and the
 * receiver alone, so to schedule it again, after a crash, by a second owner or by another saga, changes nothing.
 */
export function scheduleDelivery(published: FannedOut, recorded: RecordedEvent, { subscriptionId, incarnation }: Receiver, nowMs: number, by: ScheduledBy = { saga: 'fan-out', because: causedBy(recorded) }): ScheduledDelivery {
  const { tenant, environment, eventId, type: eventType, operational } = published;
  const site = { tenant, environment };
  const id = deliveryId(site, eventId, subscriptionId, published.recordedAtMs);
  const scheduled: DeliveryEvent = { type: 'WebhookDeliveryScheduled', data: { subscriptionId, incarnation, eventId, eventType, eventPosition: recorded.position, eventStream: recorded.stream, operational } };
  const { traceparent } = recorded.metadata as { readonly traceparent?: string };
  return {
    stream: streamOf('webhookdelivery', site, id),
    event: {
      id: outputId('fan-out', id),
      type: scheduled.type,
      data: JSON.stringify(scheduled.data),
      metadata: {
        recordedat: formatInstant(nowMs),
        schemaversion: '1',
        tenant,
        environment,
        actortype: 'SYSTEM',
        actorid: by.saga,
        correlationid: by.because.correlationId,
        causationid: by.because.causationId,
        ...(traceparent === undefined ? {} : { traceparent }),
      },
    },
  };
}
