import { Controller, Get, Headers, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type AuditEvent, auditEvent, eventsPerRead, passesFilter, positionBefore, readRecord, type RecordFilter, readsPerPage, recordPrefixes } from '#audit';
import { AuditEventDto, limits, pageSchema } from '#contracts';
import { type Clock, formatSite, isPosition, laterPosition, parseInstant, parsePrincipal, type Position, type Principal, type Site, sleep } from '#kernel';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { withRawMember } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { EventStreams, keepAliveMs, longestStallMs, type StreamMessage } from '../http/event-stream.ts';
import { PageOfRequest, type PageRequest } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { invalid } from '../http/problem.ts';
import { ReadAhead } from '../http/read-ahead.ts';
import { resumeAfter } from '../http/resume.ts';
import { CLOCK, LOG_READER, type LogReader } from '../parts.ts';

/** The query of a list of the record; the guard has seen that times are times. */
export interface RecordQuery {
  readonly since?: string;
  readonly until?: string;
  readonly actor?: string;
  readonly commandType?: string;
  readonly resourceId?: string;
  readonly approvalId?: string;
  readonly correlationId?: string;
}

interface EventsQuery extends RecordQuery {
  readonly follow?: string;
  readonly from?: string;
  readonly cursor?: string;
  readonly limit?: string;
}

/** How soon somebody who follows sees what was recorded: looked for, not waited for, so that following costs nothing while much is recorded. */
const lookEveryMs = 250;

const description = `Oldest first: what was commanded, decided, asked, voted, published, delivered and refused in a site, and by whom. Without what holds
secrets and without transcripts, which are kept for some days only.

One request looks at ${(readsPerPage * eventsPerRead).toLocaleString('en')} events at most. So a page may hold fewer items than \`limit\`, or none, although more follow: only \`nextCursor: null\` is the end.
\`resourceId\`, \`approvalId\` and \`since\` narrow what is looked at; the other filters are looked for. A page ends early when it has 4 MiB of data.
\`since\` and \`until\` rely on clocks that never go back by more than an hour.

With \`follow=true\` the answer is a stream of server-sent events: \`connected\` once, then an \`event\` for each event that passes the filters, whose data is an
item as above and whose id is its position, within ${lookEveryMs} ms of its record. It begins after \`Last-Event-ID\`, else \`from\`, else at the end of the log;
with \`since\` not before that. A comment every ${keepAliveMs / 1_000} s; a client that takes nothing for ${longestStallMs / 1_000} s is disconnected. The stream ends when its API key is
revoked or expires, and when the server stops. One process has at most ${limits.eventStreams} streams open.`;

/** The record of a site, and what is added to it. */
@Controller('api/audit/events')
export class AuditEventsController {
  constructor(
    @Inject(LOG_READER) private readonly log: LogReader,
    @Inject(CLOCK) private readonly clock: Clock,
    private readonly streams: EventStreams,
  ) {}

  @Get()
  @ForSite('audit')
  @Takes('siteId', 'since', 'until', 'actor', 'commandType', 'resourceId', 'aboutApproval', 'correlationId', 'limit', 'cursor', 'follow', 'from')
  @Describe({
    tag: 'Audit',
    operationId: 'listAuditEvents',
    summary: 'Every event of a site, in the order of the log',
    description,
    stream: '`event`: an audit event, whose id is its position',
    headers: ['Last-Event-ID'],
    answer: { schema: pageSchema(AuditEventDto) },
    problems: ['position-unknown', 'too-many-streams'],
  })
  async list(
    @SiteOfRequest() site: Site,
    @Query() query: EventsQuery,
    @PageOfRequest() page: PageRequest,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const filter = recordFilter(query);
    if (query.follow === 'true') await this.follow(site, filter, query, lastEventId, request, reply);
    else await reply.type('application/json; charset=utf-8').send(await this.page(site, filter, query, page));
  }

  private async page(site: Site, filter: RecordFilter, query: EventsQuery, { limit, cursor }: PageRequest): Promise<string> {
    if (query.from !== undefined) throw invalid('from', 'goes with follow=true only: cursor goes on with a list, since says from when on');
    const after = cursor === undefined ? null : positionIn(cursor);
    const { events, next } = await readRecord(this.log, site, filter, { after, limit });
    return withRawMember({ nextCursor: next === null ? null : cursorAt(next) }, 'items', `[${events.map(auditEventJson).join(',')}]`);
  }

  private async follow(site: Site, filter: RecordFilter, query: EventsQuery, lastEventId: string | undefined, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const unfit = (['until', 'cursor', 'limit'] as const).find((name) => query[name] !== undefined);
    if (unfit !== undefined) throw invalid(unfit, 'does not go with follow=true: a stream has no end and no pages');
    const asked = resumeAfter(await this.log.head(), { from: query.from, lastEventId });
    const after = filter.sinceMs === undefined ? asked : laterPosition(asked, await positionBefore(this.log, filter.sinceMs));
    const connected = { id: after, data: JSON.stringify({ siteId: formatSite(site), position: after }) };
    await this.streams.answer(request, reply, { connected, messages: (signal) => this.messages(site, filter, after, signal) });
  }

  private async *messages(site: Site, filter: RecordFilter, from: Position, signal: AbortSignal): AsyncGenerator<StreamMessage> {
    const ahead = new ReadAhead(this.log, { prefixes: recordPrefixes(site) });
    for (let after = from; !signal.aborted; ) {
      const { events, position, caughtUp } = await ahead.after(after);
      for (const event of events.map(auditEvent)) if (passesFilter(filter, event)) yield { event: 'event', id: event.position, data: auditEventJson(event) };
      after = position;
      if (caughtUp && !(await slept(this.clock, signal))) return;
    }
  }
}

/** False when the stream ended meanwhile. */
const slept = (clock: Clock, signal: AbortSignal): Promise<boolean> =>
  sleep(clock, lookEveryMs, signal).then(
    () => true,
    () => false,
  );

/** The filter of a query, or the end of the request. */
export function recordFilter({ since, until, actor, commandType, resourceId, approvalId, correlationId }: RecordQuery): RecordFilter {
  return { sinceMs: instantOf(since), untilMs: instantOf(until), actor: principalOf(actor), commandType, resourceId, approvalId, correlationId };
}

const instantOf = (text: string | undefined): number | undefined => (text === undefined ? undefined : parseInstant(text));

function principalOf(text: string | undefined): Principal | undefined {
  const principal = text === undefined ? undefined : parsePrincipal(text);
  if (text !== undefined && principal === undefined) throw invalid('actor', 'must be TYPE:id with TYPE one of USER, SYSTEM, CONNECTOR, AGENT, SERVICE');
  return principal;
}

/** One event as it is answered, its data as it stands in the log. */
function auditEventJson({ dataText, ...event }: AuditEvent): string {
  return withRawMember(event satisfies Omit<AuditEventDto, 'data'>, 'data', dataText);
}

const cursorAt = (position: Position): string => Buffer.from(`audit:${position}`).toString('base64url');

function positionIn(cursor: string): Position {
  const [, position = ''] = /^audit:(.+)$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (!isPosition(position)) throw invalid('cursor', 'was not made by this list');
  return position;
}
