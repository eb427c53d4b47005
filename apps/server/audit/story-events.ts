import type { ApprovalEvent } from '#approvals';
import { maxStoryEntries, type SignedAttempt, type StoryKind, versionsOfRotation } from '#audit';
import { commandDefinitions, commandIdOf, readClaim } from '#command-pipeline';
import { limits } from '#contracts';
import type { AttemptOutcome, DeliveryEvent } from '#deliveries';
import { type Category, deliveryId, eventStream, Gate, isEventId, isName, type LedgerEvent, parseStream, type Position, type RecordedEvent, type Site, stored, streamOf } from '#kernel';
import { type PublishedEvent, readPublishedEvent } from '#publishing';
import type { RecoveryEvent } from '#recoveries';
import { patternMatches } from '#subscriptions';
import { Problem } from '../http/problem.ts';
import type { LogReader, Projections, StoryReads } from '../parts.ts';

/** Of whose secret a story is, and which versions of it; null: all. */
export interface Rotation {
  readonly subscriptionId: string;
  readonly versionIds: readonly string[] | null;
}

/** The events that one thing's story is made of, in no order. */
export interface Found {
  readonly kind: StoryKind;
  readonly events: readonly RecordedEvent[];
  readonly rotation: Rotation | null;
  /** There are more. */
  readonly truncated: boolean;
}

type PublishedIds = Awaited<ReturnType<StoryReads['publishedIds']>>;

interface Look {
  readonly page: PublishedIds;
  readonly found: PublishedIds[number] | undefined;
}

const eventsPerRead = 1_000;
/** Each costs a hash on the thread that answers everybody: a look is over in about a millisecond, and one at a time. */
const idsPerLook = 250;
/** How many published events are looked through for the one that a command published. */
const mostIds = 100_000;

const categoryOf: ReadonlyMap<string, Category> = new Map(commandDefinitions.map(({ type, category }) => [type, category]));

/** Collects what the log has about one thing of a site. */
export class StoryEvents {
  readonly #looks = new Gate(1);

  constructor(
    private readonly log: LogReader,
    private readonly reads: StoryReads,
    private readonly projections: Projections,
  ) {}

  /** The story of whatever has the id; undefined when nothing in the site has. */
  async of(site: Site, id: string): Promise<Found | undefined> {
    const resource = isName(id) ? await this.resource(site, id) : undefined;
    if (resource !== undefined) return resource;
    const event = isEventId(id) ? await this.event(site, id) : undefined;
    return event ?? (isUuid(id) ? await this.publication(site, id) : undefined);
  }

  private async resource(site: Site, id: string): Promise<Found | undefined> {
    return (
      (await this.command(site, id)) ??
      (await this.approval(site, id)) ??
      (await this.delivery(site, id)) ??
      (await this.subscription(site, id)) ??
      (await this.recovery(site, id)) ??
      (await this.key(site, id))
    );
  }

  private async command(site: Site, commandId: string): Promise<Found | undefined> {
    const claimStream = streamOf('command', site, commandId);
    const claim = await readClaim(this.log, claimStream);
    if (claim === undefined) return undefined;
    const category = categoryOf.get(claim.commandType);
    const stream = category === undefined ? undefined : streamOf(category, site, claim.resourceId);
    const done = stream === undefined ? [] : await this.filtered(stream, ({ metadata }) => metadata['commandid'] === commandId);
    const approvalId = approvalUsedIn(done);
    const approval = approvalId === null ? [] : await this.facts(streamOf('approval', site, approvalId));
    const events = [...(await this.start(claimStream)), ...done, ...approval];
    return { kind: 'COMMAND', events, rotation: await this.rotationBy(commandId, done), truncated: false };
  }

  /** Its own facts (its commands' receipts say nothing more), where it ended on its resource, and the command that used it. */
  private async approval(site: Site, approvalId: string): Promise<Found | undefined> {
    const own = await this.facts(streamOf('approval', site, approvalId));
    const [first] = own;
    if (first === undefined) return undefined;
    const { commandType, resourceId } = stored<Extract<ApprovalEvent, { type: 'ApprovalRequested' }>>(first).data.binding;
    const resource = streamOf(categoryOf.get(commandType) ?? 'webhooksubscription', site, resourceId);
    const ends = await this.filtered(resource, (event) => endedApproval(event) === approvalId);
    const commandId = ends.find(({ type }) => type === 'ApprovalConsumed')?.metadata['commandid'];
    const done = commandId === undefined ? [] : await this.filtered(resource, ({ metadata }) => metadata['commandid'] === commandId);
    const claim = commandId === undefined ? [] : await this.start(streamOf('command', site, commandId));
    return { kind: 'APPROVAL', events: [...own, ...ends, ...claim, ...done], rotation: commandId === undefined ? null : await this.rotationBy(commandId, done), truncated: false };
  }

  /** The rotation that is among the events of a command. */
  private async rotationBy(commandId: string, done: readonly RecordedEvent[]): Promise<Rotation | null> {
    const rotation = done.find(({ type }) => type === 'WebhookSubscriptionSecretRotated');
    if (rotation === undefined) return null;
    const versionIds = versionsOfRotation(await this.log.readStream(rotation.stream), commandId);
    return { subscriptionId: parseStream(rotation.stream)?.id ?? '', versionIds };
  }

  private async delivery(site: Site, id: string): Promise<Found | undefined> {
    const own = await this.facts(streamOf('webhookdelivery', site, id));
    const [first] = own;
    if (first === undefined) return undefined;
    const { eventStream: stream } = stored<Extract<DeliveryEvent, { type: 'WebhookDeliveryScheduled' }>>(first).data;
    return { kind: 'DELIVERY', events: [...(await this.start(stream)), ...own], rotation: null, truncated: own.length > maxStoryEntries };
  }

  private async subscription(site: Site, id: string): Promise<Found | undefined> {
    const events = await this.facts(streamOf('webhooksubscription', site, id));
    const exists = events.some(({ type }) => type === 'WebhookSubscriptionCreated');
    return exists ? { kind: 'SUBSCRIPTION', events, rotation: { subscriptionId: id, versionIds: null }, truncated: false } : undefined;
  }

  /** Of its progress only what it said last: a long one says so much of it that a story would never come to its end. */
  private async recovery(site: Site, id: string): Promise<Found | undefined> {
    const all = await this.filtered(streamOf('recovery', site, id), ({ type }) => type !== 'CommandExecuted');
    const progress = all.findLast(isProgress);
    const events = all.filter((event) => !isProgress(event) || event === progress);
    return events.length === 0 ? undefined : { kind: 'RECOVERY', events, rotation: null, truncated: false };
  }

  private async key(site: Site, id: string): Promise<Found | undefined> {
    const events = await this.facts(streamOf('apikey', site, id));
    return events.length === 0 ? undefined : { kind: 'KEY', events, rotation: null, truncated: false };
  }

  private async event(site: Site, eventId: string): Promise<Found | undefined> {
    const [published] = [...(await this.start(eventStream(site, eventId))), ...(isName(eventId) ? await this.start(streamOf('probe', site, eventId)) : [])];
    if (published?.type !== 'EventPublished') return undefined;
    const { events, truncated } = await this.deliveriesOf(site, readPublishedEvent(published));
    return { kind: 'EVENT', events: [published, ...events], rotation: null, truncated };
  }

  /** A `PublishEvent` has no claim; its id follows from the event's. */
  private async publication(site: Site, commandId: string): Promise<Found | undefined> {
    let looked = 0;
    for (let before: Position | null = null; looked < mostIds; ) {
      const { page, found } = await this.#looks.run(() => this.look(site, commandId, before));
      if (found !== undefined) return asCommand(await this.event(site, found.eventId));
      before = page.at(-1)?.position ?? null;
      looked += page.length;
      if (page.length < idsPerLook) return undefined;
    }
    return undefined;
  }

  private async look(site: Site, commandId: string, before: Position | null): Promise<Look> {
    const page = await this.reads.publishedIds({ site, before, limit: idsPerLook });
    return { page, found: page.find(({ eventId }) => commandIdOf(site, eventId, 'caller') === commandId) };
  }

  /** Every subscription that it could have gone to, also by a recovery, has one delivery of it at most, whose id follows from both. */
  private async deliveriesOf(site: Site, event: PublishedEvent): Promise<{ readonly events: readonly RecordedEvent[]; readonly truncated: boolean }> {
    const seen = await this.projections.waitFor(event.position, limits.waitForMs, ['subscriptions']);
    if (seen === 'behind') throw new Problem('projection-behind', `The read model has not seen the event at position ${event.position} within ${limits.waitForMs / 1_000} s. Try again.`);
    const events: RecordedEvent[] = [];
    for (const subscriptionId of await this.receivers(site, event)) {
      if (events.length > maxStoryEntries) return { events, truncated: true };
      events.push(...(await this.facts(streamOf('webhookdelivery', site, deliveryId(site, event.eventId, subscriptionId, event.recordedAtMs)))));
    }
    return { events, truncated: false };
  }

  private async receivers(site: Site, event: PublishedEvent): Promise<readonly string[]> {
    if (parseStream(event.stream)?.category === 'probe') return [(JSON.parse(event.dataText) as { readonly webhookSubscriptionId: string }).webhookSubscriptionId];
    const before = String(BigInt(event.position) - 1n);
    const versions = await this.reads.subscriptionVersions(site, { overlapping: [before, event.position] });
    return versions.filter(({ eventPattern }) => patternMatches(eventPattern, event)).map(({ subscriptionId }) => subscriptionId);
  }

  private async start(stream: string): Promise<readonly RecordedEvent[]> {
    return await this.log.readStream(stream, 0, 1);
  }

  /** The facts of a stream, one more than a story tells; the receipts between them repeat what they say. */
  private facts(stream: string): Promise<readonly RecordedEvent[]> {
    return this.filtered(stream, (event) => event.type !== 'CommandExecuted' && event.type !== 'ApprovalConsumed', maxStoryEntries + 1);
  }

  private async filtered(stream: string, wanted: (event: RecordedEvent) => boolean, most = Infinity): Promise<readonly RecordedEvent[]> {
    const found: RecordedEvent[] = [];
    for (let from = 0; found.length < most; from += eventsPerRead) {
      const page = await this.log.readStream(stream, from, eventsPerRead);
      found.push(...page.filter(wanted));
      if (page.length < eventsPerRead) break;
    }
    return found.slice(0, most);
  }
}

const isProgress = ({ type }: RecordedEvent): boolean => type === ('WebhookRecoveryProgressed' satisfies RecoveryEvent['type']);

const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

const asCommand = (found: Found | undefined): Found | undefined => (found === undefined ? undefined : { ...found, kind: 'COMMAND' });

function approvalUsedIn(events: readonly RecordedEvent[]): string | null {
  const consumed = events.find(({ type }) => type === 'ApprovalConsumed');
  return consumed === undefined ? null : endedApproval(consumed);
}

/** Of a use or a fence: which approval. */
function endedApproval(event: RecordedEvent): string | null {
  if (event.type !== 'ApprovalConsumed' && event.type !== 'ApprovalFenced') return null;
  return stored<Extract<LedgerEvent, { type: 'ApprovalConsumed' | 'ApprovalFenced' }>>(event).data.approvalId;
}

/** The attempts among events, and whose deliveries they are of. */
export function attemptsIn(events: readonly RecordedEvent[]): { readonly attempts: readonly SignedAttempt[]; readonly subscriptionIds: readonly string[] } {
  const attempts: SignedAttempt[] = [];
  const subscriptionIds = new Set<string>();
  for (const event of events) {
    const place = parseStream(event.stream);
    if (place?.category !== 'webhookdelivery') continue;
    const { subscriptionId, secretVersionIds } = stored<{ type: string; data: Partial<AttemptOutcome> & { readonly subscriptionId?: string } }>(event).data;
    if (subscriptionId !== undefined) subscriptionIds.add(subscriptionId);
    if (secretVersionIds !== undefined) attempts.push({ deliveryId: place.id, secretVersionIds });
  }
  return { attempts, subscriptionIds: [...subscriptionIds] };
}
