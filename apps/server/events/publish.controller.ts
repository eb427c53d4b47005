import { Controller, Headers, HttpCode, Post, Res } from '@nestjs/common';
import { CommandBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import type { EventToPublish, Published, Publisher } from '#command-pipeline';
import { limits, PublishAnswerDto, type PublishedItemDto, PublishEventPayload, refTo } from '#contracts';
import { isRefusal, type Refusal, type Site } from '#kernel';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { restActor } from '../access/rest-actor.ts';
import { ForSite, Key, SiteOfRequest } from '../access/routes.ts';
import { BodyText } from '../http/body.ts';
import { PublishEvents } from '../commands/commands.ts';
import { idempotencyKey } from '../commands/idempotency-key.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { invalid, Problem, problemBody, problemOf } from '../http/problem.ts';
import { type RequestTrace, Trace } from '../http/trace.ts';
import { type OfferedItem, readEvents } from './read-events.ts';

type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

const eventSchema = refTo(PublishEventPayload);

/** The way in for business events. */
@Controller('api/events')
export class PublishController {
  constructor(private readonly commandBus: CommandBus) {}

  @Post()
  @HttpCode(200)
  @ForSite('write')
  @Takes('siteId')
  @Describe({
    tag: 'Events',
    operationId: 'publishEvents',
    summary: 'Publish one event, or up to 1,000',
    description: 'One bad event is refused with 400, 413 or 422; the items of a list are accepted or refused one by one. The event id is the idempotency key; one without is given an id and is not idempotent.',
    body: { oneOf: [eventSchema, { type: 'array', minItems: 1, maxItems: limits.eventsPerRequest, items: eventSchema }] },
    headers: ['Idempotency-Key', 'Kf-Actor', 'Kf-On-Behalf-Of'],
    answerHeaders: ['Idempotency-Replayed'],
    answer: PublishAnswerDto,
    problems: ['idempotency-key-invalid', 'actor-not-allowed', 'payload-too-large', 'unsupported-media-type', 'idempotency-key-reused', 'outcome-unknown', 'store-unavailable'],
  })
  async publish(
    @SiteOfRequest() site: Site,
    @Key() key: AuthenticatedKey,
    @Headers() headers: RequestHeaders,
    @BodyText() text: string,
    @Trace() trace: RequestTrace,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublishAnswerDto> {
    const actor = restActor(key, headers);
    const headerKey = idempotencyKey(headers['idempotency-key']);
    const offered = readEvents(text);
    const publisher: Publisher = { site, actor, ...trace };
    if (offered.kind === 'one') {
      const item = await this.publishOne(publisher, keyed(offered.event, headerKey));
      void reply.header('idempotency-key', item.eventId ?? '');
      if (item.status === 'DUPLICATE') void reply.header('idempotency-replayed', 'true');
      return { items: [item] };
    }
    if (headerKey !== undefined) throw invalid('Idempotency-Key', 'does not go with a list of events: give each its eventId');
    return { items: await this.publishList(publisher, offered.items) };
  }

  private async publishOne(publisher: Publisher, event: EventToPublish): Promise<PublishedItemDto> {
    const [published] = await this.commandBus.execute(new PublishEvents(publisher, [event]));
    if (published === undefined) throw new TypeError('publishing one event gave no result');
    if (isRefusal(published)) throw problemOf(published);
    return acceptedItem(published);
  }

  private async publishList(publisher: Publisher, items: readonly OfferedItem[]): Promise<readonly PublishedItemDto[]> {
    const events = items.flatMap((item) => ('event' in item ? [item.event] : []));
    const published = [...(await this.commandBus.execute(new PublishEvents(publisher, events)))];
    return items.map((item) => ('event' in item ? itemOf(item.event, published.shift()) : refusedItem(item.eventId, item.problem)));
  }
}

/** Header and `eventId` are two names of one thing. */
function keyed(event: EventToPublish, headerKey: string | undefined): EventToPublish {
  if (headerKey === undefined) return event;
  if (event.eventId !== null && event.eventId !== headerKey) throw invalid('eventId', 'must be the same as the header Idempotency-Key: the key of an event is its id');
  return { ...event, eventId: headerKey };
}

function itemOf(event: EventToPublish, published: Published | Refusal | undefined): PublishedItemDto {
  if (published === undefined) throw new TypeError('an event was published without a result');
  return isRefusal(published) ? refusedItem(event.eventId, problemOf(published)) : acceptedItem(published);
}

const acceptedItem = ({ eventId, status, position, idempotent }: Published): PublishedItemDto => ({ eventId, status, position, idempotent });

const refusedItem = (eventId: string | null, problem: Problem): PublishedItemDto => ({ eventId, status: 'REFUSED', position: null, problem: problemBody(problem) });
