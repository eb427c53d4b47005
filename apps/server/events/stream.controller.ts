import { Controller, Get, Headers, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { limits } from '#contracts';
import { formatSite, type Site } from '#kernel';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { EventStreams, keepAliveMs, longestStallMs } from '../http/event-stream.ts';
import { Takes } from '../http/parameters.ts';
import { resumeAfter } from '../http/resume.ts';
import { LOG_READER, type LogReader } from '../parts.ts';
import { Arrivals } from './stream-arrivals.ts';
import { eventMessages, wantedBy } from './stream-messages.ts';

const description = `Server-sent events (WHATWG HTML), in the order of the log:

- \`connected\`, once: \`{"siteId", "position", "events"}\`. The stream has what comes after this position.
- \`event\`, for each event: the data is the body that a delivery of it has, byte for byte; the id is its position. A carriage return
  between the tokens of the publisher's JSON can't stand in such a stream: then the body is there as Base64 too, in the field \`base64\`.
- a comment every ${keepAliveMs / 1_000} s.

It begins after the position of \`Last-Event-ID\`, else of \`from\`, else at the end of the log; \`0\` is the start. So a client that goes on
from the last id it has seen misses nothing and gets nothing twice. Without \`events\`, all events that were published; those of
Countersign itself (\`webhook.…\`, \`approval.…\`) only where the first segment of a glob names them, as with subscriptions.

A client that takes nothing for ${longestStallMs / 1_000} s is disconnected. The stream ends when its API key is revoked or expires, and when the server stops.
One process has at most ${limits.eventStreams} streams open.`;

/** The events of a site as they happen. */
@Controller('api/events')
export class EventStreamController {
  constructor(
    private readonly streams: EventStreams,
    private readonly arrivals: Arrivals,
    @Inject(LOG_READER) private readonly log: LogReader,
  ) {}

  @Get('stream')
  @ForSite('read')
  @Takes('siteId', 'events', 'from')
  @Describe({
    tag: 'Events',
    operationId: 'streamEvents',
    summary: 'The events of a site as they happen, and from any position of the past',
    description,
    headers: ['Last-Event-ID'],
    answer: { mediaType: 'text/event-stream' },
    problems: ['position-unknown', 'too-many-streams'],
  })
  async stream(
    @SiteOfRequest() site: Site,
    @Query('events') events: string | undefined,
    @Query('from') from: string | undefined,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const wanted = wantedBy(events);
    const after = resumeAfter(await this.log.head(), { from, lastEventId });
    const connected = { id: after, data: JSON.stringify({ siteId: formatSite(site), position: after, events: events ?? null }) };
    await this.streams.answer(request, reply, { connected, messages: (signal) => eventMessages(this.log, this.arrivals, { site, after, wanted }, signal) });
  }
}
