import { Controller, Get, Inject, Param } from '@nestjs/common';
import { secretSpans, type Signature, signaturesOf, type StoryKind, tellStory } from '#audit';
import { StoryDto } from '#contracts';
import { type Clock, type RecordedEvent, type Site, streamOf } from '#kernel';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { CLOCK, LOG_READER, type LogReader, PROJECTIONS, type Projections, STORY_READS, type StoryReads } from '../parts.ts';
import { attemptsIn, type Found, type Rotation, StoryEvents } from './story-events.ts';

const description = `Everything about one thing as one list in the order of the log, one plain sentence each. The id is that of

- a command: its claim, the approval it used with its votes, what it changed, its receipt; of a \`PublishEvent\` (among the latest 100,000 of the site) the event and its deliveries;
- an approval: request, votes, decision, fence, use, and the command that used it with what it changed;
- a delivery: the event it carries, and each attempt and replay;
- a subscription: its changes, who made them and with which approval;
- a recovery: its start, how far it said last that it was, and its end; an API key: its changes;
- a published event: its publication, and each delivery with its attempts.

The first of these that has the id counts. \`signatures\` says which deliveries were signed with which version of the secret: for a rotation (its command or its approval) the versions before
and after it, for a subscription all of its latest 50, for deliveries those that signed their attempts. Attempts are known for \`KF_HISTORY_DAYS\`. A story has at most 1,000
entries, and the latest 20,000 deliveries of a subscription are looked at for signatures; \`truncated\` says that there is more.`;

/** How many versions of a subscription's secret its story tells of. */
const versionsTold = 50;
const deliveriesPerLook = 1_000;
const mostDeliveries = 20_000;
/** What was delivered is what most deliveries are: it comes last, and open deliveries before they can become something else. */
const statuses = ['PENDING', 'SCHEDULED', 'DEAD_LETTERED', 'DELIVERED'] as const;

interface Signatures {
  readonly signatures: readonly Signature[];
  readonly truncated: boolean;
}

/** The whole story of one thing. */
@Controller('api/audit/stories')
export class StoriesController {
  private readonly events: StoryEvents;

  constructor(
    @Inject(LOG_READER) private readonly log: LogReader,
    @Inject(STORY_READS) private readonly reads: StoryReads,
    @Inject(PROJECTIONS) projections: Projections,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.events = new StoryEvents(log, reads, projections);
  }

  @Get(':id')
  @ForSite('audit')
  @Takes('siteId')
  @Describe({ tag: 'Audit', operationId: 'getStory', summary: 'The whole story of one thing', description, answer: StoryDto, problems: ['not-found', 'projection-behind'] })
  async get(@SiteOfRequest() site: Site, @Param('id') id: string): Promise<StoryDto> {
    const found = await this.events.of(site, id);
    if (found === undefined) throw noSuchThing();
    const told = tellStory(found.events);
    const signed = await this.signatures(site, found);
    return { id, kind: found.kind satisfies StoryKind, entries: told.entries, signatures: signed.signatures, truncated: told.truncated || found.truncated || signed.truncated };
  }

  private async signatures(site: Site, { rotation, events }: Found): Promise<Signatures> {
    return rotation === null ? await this.ofAttempts(site, events) : await this.ofRotation(site, rotation);
  }

  /** Of the attempts that the story tells. */
  private async ofAttempts(site: Site, events: readonly RecordedEvent[]): Promise<Signatures> {
    const { attempts, subscriptionIds } = attemptsIn(events);
    const spans = await Promise.all(subscriptionIds.slice(0, versionsTold).map(async (id) => secretSpans(await this.subscription(site, id), this.clock.now())));
    const signing = new Set(attempts.flatMap(({ secretVersionIds }) => secretVersionIds));
    return { signatures: signaturesOf(spans.flat().filter(({ secretVersionId }) => signing.has(secretVersionId)), attempts), truncated: subscriptionIds.length > versionsTold };
  }

  private async ofRotation(site: Site, { subscriptionId, versionIds }: Rotation): Promise<Signatures> {
    const spans = secretSpans(await this.subscription(site, subscriptionId), this.clock.now());
    const told = (versionIds === null ? spans : spans.filter(({ secretVersionId }) => versionIds.includes(secretVersionId))).slice(-versionsTold);
    const secretVersionIds = told.map(({ secretVersionId }) => secretVersionId);
    const attempts: Awaited<ReturnType<StoryReads['signedAttempts']>>['attempts'][number][] = [];
    let looked = 0;
    for (const status of statuses) {
      for (let before: string | null = null; looked < mostDeliveries; ) {
        const page: Awaited<ReturnType<StoryReads['signedAttempts']>> = await this.reads.signedAttempts({ site, subscriptionId, status, secretVersionIds, before, limit: deliveriesPerLook });
        attempts.push(...page.attempts);
        looked += page.looked;
        before = page.next;
        if (before === null) break;
      }
    }
    return { signatures: signaturesOf(told, attempts), truncated: looked >= mostDeliveries || told.length < (versionIds === null ? spans.length : 0) };
  }

  private async subscription(site: Site, id: string): Promise<readonly RecordedEvent[]> {
    return await this.log.readStream(streamOf('webhooksubscription', site, id));
  }
}
