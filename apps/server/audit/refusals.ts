import { Controller, Get, Query, UseInterceptors } from '@nestjs/common';
import { refusalBurst, refusalsPerSecond } from '#audit';
import { pageSchema, RefusalDto } from '#contracts';
import { formatInstant, type Site } from '#kernel';
import type { Page, RefusalItem } from '#read-models';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { Refusals } from '../parts.ts';
import { recordFilter, type RecordQuery } from './events.ts';

/** What was tried in a site and refused. */
@Controller('api/audit/refusals')
export class RefusalsController {
  constructor(private readonly refusals: Refusals) {}

  @Get()
  @ForSite('audit')
  @Takes('siteId', 'since', 'until', 'actor', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({
    tag: 'Audit',
    operationId: 'listRefusals',
    summary: 'Refused attempts at gated commands and votes, newest first',
    description: `An approval that was missing, not (or no longer) usable, or for something else; a vote of somebody who may not; an actor that the key may not speak for. Tried by a caller
who was authenticated and may send such commands in this site; dry runs do not count. Recorded right after the answer, so a moment later, and never with what the command would have done.
Of one key in one site ${refusalBurst} at once and ${refusalsPerSecond} a second are recorded one by one; of more, the last, with how many came before it in \`suppressed\`.`,
    answer: { schema: pageSchema(RefusalDto) },
  })
  async list(@SiteOfRequest() site: Site, @Query() query: RecordQuery, @PageOfRequest() page: PageRequest): Promise<Page<RefusalDto>> {
    const { sinceMs, untilMs, actor } = recordFilter(query);
    return answerPage(await this.refusals.list({ site, sinceMs, untilMs, actor, ...page }), refusalAnswer);
  }
}

const refusalAnswer = ({ recordedAtMs, ...refusal }: RefusalItem): RefusalDto => ({ ...refusal, at: formatInstant(recordedAtMs) });
