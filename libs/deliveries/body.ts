import { formatInstant } from '#kernel';
import type { PublishedEvent } from '#publishing';

/**
 * What receivers get: `{"id","type","timestamp","tenant","environment","data"}`, the same text on every attempt and for every
 * subscription. `id` is the published event's id (the delivery's stands in `webhook-id`), `timestamp` when it was accepted,
 * `data` the publisher's JSON text byte for byte: it is never parsed, so `9007199254740993` and `1.0` arrive as sent.
 */
export function wireBody(event: Pick<PublishedEvent, 'eventId' | 'type' | 'recordedAtMs' | 'tenant' | 'environment' | 'dataText'>): string {
  const { eventId: id, type, recordedAtMs, tenant, environment, dataText } = event;
  const envelope = JSON.stringify({ id, type, timestamp: formatInstant(recordedAtMs), tenant, environment });
  return `${envelope.slice(0, -1)},"data":${dataText}}`;
}
