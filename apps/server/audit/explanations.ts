import { Controller, Get, Inject, Query } from '@nestjs/common';
import { explain, type ExplainFacts } from '#audit';
import { ExplanationDto } from '#contracts';
import { comparePositions, deliveryId, Gate, isEventId, isName, type Position, type RecordedEvent, type Site, streamOf } from '#kernel';
import { type PublishedEvent, readPublishedEvent } from '#publishing';
import { deliveryView } from '#read-models';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { LOG_READER, type LogReader, PROJECTIONS, type Projections, READS, type Reads, ServerFacts } from '../parts.ts';

const description = `Everything is read from the log, so the answer is right also where lists are behind or have dropped the delivery: why an event reached a
subscription, or why not, by the configuration that held for that event. \`sentence\` says it in words, \`because\` names the event of the log that put it
there, \`notes\` what changed since and what can be done about it.

| code | |
| --- | --- |
| \`delivered\`, \`pending\`, \`retry-scheduled\`, \`dead-lettered\` | there is a delivery, and so it stands |
| \`cancelled\` | the subscription was deleted while the delivery was open |
| \`pattern-mismatch\` | the pattern for that event did not match (or it is an operational event, which only patterns with a literal first segment reach) |
| \`filter-mismatch\` | the filter for that event was not true of its data, or could not be told; \`sentence\` says which and why |
| \`paused\`, \`deleted\`, \`purged\`, \`created-later\` | so stood the subscription for that event |
| \`not-scheduled-yet\` | it matched; its delivery is about to be scheduled |
| \`never-existed\` | there never was such an event, or such a subscription, in this site |`;

/** Why an event was, or was not, delivered. */
@Controller('api/audit/explanations')
export class ExplanationsController {
  /** One at a time: each holds the whole history of a subscription, which may be long. */
  private readonly turns = new Gate(1);

  constructor(
    @Inject(LOG_READER) private readonly log: LogReader,
    @Inject(READS) private readonly reads: Reads,
    @Inject(PROJECTIONS) private readonly projections: Projections,
    private readonly server: ServerFacts,
  ) {}

  @Get()
  @ForSite('audit')
  @Takes('siteId', 'explainedEvent', 'explainedSubscription')
  @Describe({ tag: 'Audit', operationId: 'explainDelivery', summary: 'Why an event was, or was not, delivered to a subscription', description, answer: ExplanationDto })
  async get(@SiteOfRequest() site: Site, @Query('eventId') eventId: string, @Query('webhookSubscriptionId') subscriptionId: string): Promise<ExplanationDto> {
    return await this.turns.run(async () => {
      const facts = await this.facts(site, eventId, subscriptionId);
      const { delivery, ...explanation } = explain(facts);
      return { ...explanation, delivery: delivery === null ? null : deliveryView({ id: facts.deliveryId, ...delivery }) };
    });
  }

  private async facts(site: Site, eventId: string, subscriptionId: string): Promise<ExplainFacts> {
    // How far fan-out is comes first: what it has scheduled by then is in the log when the delivery is looked for.
    const fanOut = this.server.fanOut();
    const { event, syntheticFor } = await this.event(site, eventId);
    const delivery = await this.delivery(site, event, subscriptionId);
    return {
      site,
      eventId,
      subscriptionId,
      published: event,
      syntheticFor,
      subscription: isName(subscriptionId) ? await this.log.readStream(streamOf('webhooksubscription', site, subscriptionId)) : [],
      ...delivery,
      fanOut: { scheduledUpTo: fanOut?.position ?? null, parked: fanOut?.parked.find(({ instance }) => instance === event?.stream)?.error ?? null },
    };
  }

  private async delivery(site: Site, event: PublishedEvent | undefined, subscriptionId: string): Promise<Pick<ExplainFacts, 'deliveryId' | 'delivery' | 'historyDropped'>> {
    if (event === undefined) return { deliveryId: '', delivery: [], historyDropped: false };
    const id = deliveryId(site, event.eventId, subscriptionId, event.recordedAtMs);
    const delivery = await this.log.readStream(streamOf('webhookdelivery', site, id));
    return { deliveryId: id, delivery, historyDropped: await this.isDropped(site, id, delivery) };
  }

  /** A published event, or one that was made to try a subscription. */
  private async event(site: Site, eventId: string): Promise<{ readonly event: PublishedEvent | undefined; readonly syntheticFor: string | null }> {
    const event = isEventId(eventId) ? await this.reads.event(site, eventId) : undefined;
    if (event !== undefined || !isName(eventId)) return { event, syntheticFor: null };
    const [made] = await this.log.readStream(streamOf('probe', site, eventId), 0, 1);
    return made?.type === 'EventPublished' ? { event: readPublishedEvent(made), syntheticFor: triedBy(made) } : { event, syntheticFor: null };
  }

  /** Whether the lists have seen the whole of the delivery and do not have it. */
  private async isDropped(site: Site, id: string, delivery: readonly RecordedEvent[]): Promise<boolean> {
    const last: Position | undefined = delivery.at(-1)?.position;
    const folded = this.projections.status().find(({ name }) => name === 'deliveries');
    if (last === undefined || folded === undefined || comparePositions(folded.position, last) < 0) return false;
    return (await this.reads.delivery(site, id)) === undefined;
  }
}

/** What `TestWebhookSubscription` publishes says whom it is for. */
const triedBy = ({ data }: RecordedEvent): string => (JSON.parse(data) as { readonly webhookSubscriptionId: string }).webhookSubscriptionId;
