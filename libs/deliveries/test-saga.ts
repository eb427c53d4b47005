import { causedBy, type CreateOutput, formatInstant, placeOf, prefixOf, type RecordedEvent, type Saga, stored, streamOf } from '#kernel';
import { eventPublished } from '#publishing';
import type { DeliveryEvent } from './events.ts';
import type { TestRequestEvent } from './test-request.ts';

/**
 * Sends what tests of subscriptions ask for: the synthetic event into a stream that the fan-out does not follow, then its
 * delivery to the one subscription. From there on it is a delivery like any other. An instance is a request; nothing is
 * kept of it.
 */
export const subscriptionTests: Saga<never, CreateOutput> = {
  name: 'subscription-tests',
  prefixes: [prefixOf('probe')],
  wants: ({ type }) => type === ('WebhookTestRequested' satisfies TestRequestEvent['type']),
  instancesOf: ({ stream }) => [stream],
  react: (_instance, state, input) => ({ state, outputs: input.kind === 'event' ? sent(input.event) : [] }),
  deadlineOf: () => undefined,
};

function sent(event: RecordedEvent): readonly CreateOutput[] {
  const { data, recordedAt, position } = stored<TestRequestEvent>(event);
  const { site } = placeOf(event.stream);
  const { subscriptionId, incarnation, eventId, eventType } = data;
  const eventStream = streamOf('probe', site, eventId);
  // Operational, so that what becomes of its delivery is announced to nobody.
  const scheduled: DeliveryEvent = { type: 'WebhookDeliveryScheduled', data: { subscriptionId, incarnation, eventId, eventType, eventPosition: position, eventStream, operational: true } };
  const common = { do: 'create', site, metadata: { recordedat: formatInstant(recordedAt) }, because: causedBy(event) } as const;
  return [
    { ...common, key: `${event.id}|event`, stream: eventStream, type: eventPublished, data: data.data, metadata: { ...common.metadata, publishedid: eventId, publishedtype: eventType, operational: 'true' } },
    { ...common, key: `${event.id}|delivery`, stream: streamOf('webhookdelivery', site, data.deliveryId), type: scheduled.type, data: scheduled.data },
  ];
}
