import { Controller, Get, Header, Inject, Param, Query } from '@nestjs/common';
import { type AsOf, parseAsOf } from '#audit';
import { PastStateDto } from '#contracts';
import { type Clock, formatInstant, Gate, isRefusal, type Site } from '#kernel';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { withRawMember } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { invalid, problemOf } from '../http/problem.ts';
import { CLOCK, LOG_READER, type LogReader } from '../parts.ts';
import { stateAsOf } from './past-states.ts';

/** What something was at an earlier moment. */
@Controller('api/audit/states')
export class StatesController {
  /** One at a time: each holds the whole history of a stream, which may be long (12,000 events, 50 at once: 3 GB). */
  private readonly turns = new Gate(1);

  constructor(
    @Inject(LOG_READER) private readonly log: LogReader,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get(':resourceId')
  @Header('content-type', 'application/json; charset=utf-8')
  @ForSite('audit')
  @Takes('siteId', 'asOf')
  @Describe({
    tag: 'Audit',
    operationId: 'getPastState',
    summary: 'What a resource was, as of a revision, a position or a time',
    description: `A subscription, delivery, approval, API key, recovery or published event by its id (of an id that several of them have, the first in this order), or the approval policy of a
command type. Folded from the log as it was: \`revision:<n>\` is the state after its n-th change, exactly; \`position:<p>\` takes what stands in the log up to p; \`time:<t>\` up to the last
event that was recorded at t or before. An approval reads as expired by the time asked for; with a revision or position, by the time of its last event until then.`,
    answer: PastStateDto,
    problems: ['not-found', 'position-unknown'],
  })
  async get(@SiteOfRequest() site: Site, @Param('resourceId') id: string, @Query('asOf') asOf: string | undefined): Promise<string> {
    const moment = momentOf(asOf);
    const found = await this.turns.run(() => stateAsOf(this.log, this.clock, { site, id }, moment));
    if (found === undefined) throw noSuchThing();
    if (isRefusal(found)) throw problemOf(found);
    const { kind, revision, position, recordedAtMs, stateText } = found;
    const answer: Omit<PastStateDto, 'state'> = { resourceId: id, kind, asOf: asOf ?? null, revision, position, at: recordedAtMs === null ? null : formatInstant(recordedAtMs) };
    return withRawMember(answer, 'state', stateText);
  }
}

function momentOf(text: string | undefined): AsOf | undefined {
  const asOf = text === undefined ? undefined : parseAsOf(text);
  if (text !== undefined && asOf === undefined) throw invalid('asOf', 'must be revision:<n>, position:<p> or time:<RFC 3339 with an offset> (a + stands in a URL as %2B)');
  return asOf;
}
