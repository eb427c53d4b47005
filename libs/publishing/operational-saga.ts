import { type Announcements, causedBy, type CreateOutput, derivedId, eventStream, outputId, placeOf, prefixOf, type RecordedEvent, type Saga } from '#kernel';
import { eventPublished } from './events.ts';

const name = 'operational-events';

/**
 * Publishes what happens here into the site where it happened, so that it can be subscribed to. An instance is the
 * stream in which something happened; nothing is kept of it. The published event's id follows from the event announced.
 */
export const operationalEvents = (announcements: Announcements): Saga<never, CreateOutput> => ({
  name,
  prefixes: [prefixOf('webhooksubscription'), prefixOf('webhookdelivery'), prefixOf('approval')],
  wants: ({ type }) => Object.hasOwn(announcements, type),
  wantsOrigin: ({ type }) => Object.hasOwn(announcements, type),
  instancesOf: ({ stream }) => [stream],
  react: (_instance, state, input) => ({ state, outputs: input.kind === 'event' && input.origin !== null ? publish(announcements, input.event, input.origin) : [] }),
  deadlineOf: () => undefined,
});

function publish(announcements: Announcements, event: RecordedEvent, origin: RecordedEvent): readonly CreateOutput[] {
  const announcement = announcements[event.type]?.(event, origin) ?? null;
  if (announcement === null) return [];
  const { site } = placeOf(event.stream);
  const publishedId = derivedId('evt', outputId(name, event.id));
  return [
    {
      do: 'create',
      key: event.id,
      site,
      stream: eventStream(site, publishedId),
      type: eventPublished,
      data: announcement.data,
      metadata: { publishedid: publishedId, publishedtype: announcement.type, operational: 'true', ...occurredAt(event) },
      because: causedBy(event),
    },
  ];
}

const occurredAt = ({ metadata: { recordedat } }: RecordedEvent): { readonly occurredat?: string } => (recordedat === undefined ? {} : { occurredat: recordedat });
