import type { ApprovalEvent } from '#approvals';
import type { EventBatch, EventStore } from '#event-store';
import { type Category, comparePositions, eventStream, isEventId, isName, type Position, type RecordedEvent, type Site, startOfLog, stored, streamOf } from '#kernel';
import { type AuditEvent, auditEvent, recordCategories, recordPrefixes, sitePrefix } from './audit-event.ts';
import { passesFilter, type RecordFilter } from './record-filter.ts';

/** What a page of a record is read from. */
export type RecordLog = Pick<EventStore, 'readAll' | 'readStream' | 'head'>;

/** What one page looks at, at most: so many reads of so many events. */
export const readsPerPage = 20;
export const eventsPerRead = 1_000;
/** A page ends with the event whose data brings it over so many characters. */
const pageChars = 4 * 1024 * 1024;

/** Clocks may go back a little: how much earlier than an event before it an event may have been recorded. */
const clockSlackMs = 3_600_000;

export interface RecordPage {
  readonly events: readonly AuditEvent[];
  /** Where the next page begins (exclusive); null when there is nothing after this page. */
  readonly next: Position | null;
}

/**
 * A page of a site's record, oldest first: at most `limit` events after a position (null: from the start) that pass the
 * filter. It may hold fewer, or none, although more follow, because a page looks at a bounded number of events.
 */
export async function readRecord(log: RecordLog, site: Site, filter: RecordFilter, page: { readonly after: Position | null; readonly limit: number }): Promise<RecordPage> {
  const source = await sourceOf(log, site, filter);
  const found: AuditEvent[] = [];
  let after = page.after ?? (await beginningOf(log, filter));
  for (let reads = 0; reads < readsPerPage; reads += 1) {
    const batch = await source(after, eventsPerRead);
    const end = take(batch, filter, found, page.limit);
    if (end !== undefined) return { events: found, next: end.next };
    after = batch.position;
  }
  return { events: found, next: after };
}

const beginningOf = async (log: RecordLog, { sinceMs }: RecordFilter): Promise<Position> => (sinceMs === undefined ? startOfLog : await positionBefore(log, sinceMs));

/** Adds what is wanted to the page. Answers how it ends, when it does: it is full, or nothing can follow. */
function take(batch: EventBatch, filter: RecordFilter, found: AuditEvent[], limit: number): Pick<RecordPage, 'next'> | undefined {
  let room = pageChars - found.reduce((sum, { dataText }) => sum + dataText.length, 0);
  for (const recorded of batch.events) {
    const event = auditEvent(recorded);
    if (isPast(filter, event)) return { next: null };
    if (!passesFilter(filter, event)) continue;
    room -= event.dataText.length;
    if (found.push(event) === limit || room < 0) return { next: isLast(batch, recorded) ? null : event.position };
  }
  return batch.caughtUp ? { next: null } : undefined;
}

const isLast = ({ caughtUp, events }: EventBatch, event: RecordedEvent): boolean => caughtUp && event === events.at(-1);

const isPast = ({ untilMs }: RecordFilter, { recordedAt }: AuditEvent): boolean => untilMs !== undefined && Date.parse(recordedAt) > untilMs + clockSlackMs;

/**
 * A position with nothing recorded at or after a time before it: where to begin to read, found in about as many reads as
 * a position has bits. Relies on clocks that never go back by more than an hour.
 */
export async function positionBefore(log: Pick<EventStore, 'readAll' | 'head'>, sinceMs: number): Promise<Position> {
  let low = 0n;
  let high = BigInt(await log.head());
  while (low < high) {
    const middle = (low + high) / 2n;
    const event = await firstAfter(log, String(middle));
    // One without a readable time says nothing: the search goes on before it.
    if (event !== undefined && Date.parse(event.metadata['recordedat'] ?? '') < sinceMs - clockSlackMs) low = BigInt(event.position);
    else high = middle;
  }
  return String(low);
}

async function firstAfter(log: Pick<EventStore, 'readAll'>, after: Position): Promise<RecordedEvent | undefined> {
  for (let from = after; ; ) {
    const { events, position, caughtUp } = await log.readAll(from, undefined, 1);
    if (events.length > 0 || caughtUp) return events[0];
    from = position;
  }
}

/** Events after a position, and how far was looked. */
type Source = (after: Position, limit: number) => Promise<EventBatch>;

/** Where the wanted events stand: in a few streams when a resource or an approval is named, else anywhere in the record. */
async function sourceOf(log: RecordLog, site: Site, { resourceId, approvalId }: RecordFilter): Promise<Source> {
  const streams = approvalId === undefined ? streamsOf(site, resourceId) : await streamsOfApproval(log, site, approvalId);
  if (streams === undefined) return (after, limit) => log.readAll(after, { prefixes: recordPrefixes(site) }, limit);
  const refusals: Source = (after, limit) => log.readAll(after, { prefixes: [sitePrefix('refusal', site)] }, limit);
  return merged(log, [refusals, ...streams.map((stream) => streamSource(log, stream))]);
}

/** Refusals are found by what they are about, so they are not among these. */
const streamCategories = recordCategories.filter((category) => category !== 'event' && category !== 'refusal');

function streamsOf(site: Site, resourceId: string | undefined): readonly string[] | undefined {
  if (resourceId === undefined) return undefined;
  const named = isStreamId(resourceId) ? streamCategories.map((category) => streamOf(category, site, resourceId)) : [];
  return isEventId(resourceId) ? [...named, eventStream(site, resourceId)] : named;
}

/** Policies are the only resources with capitals in their id. */
const isStreamId = (id: string): boolean => isName(id.toLowerCase());

/** An approval's own stream, and that of the resource it is for, where it was used or fenced. */
async function streamsOfApproval(log: RecordLog, site: Site, approvalId: string): Promise<readonly string[]> {
  if (!isName(approvalId)) return [];
  const own = streamOf('approval', site, approvalId);
  const [first] = await log.readStream(own, 0, 1);
  if (first?.type !== 'ApprovalRequested') return [own];
  const { binding } = stored<Extract<ApprovalEvent, { type: 'ApprovalRequested' }>>(first).data;
  return [own, ...gatedCategories.map((category) => streamOf(category, site, binding.resourceId))];
}

/** What a policy may gate changes one of these. */
const gatedCategories: readonly Category[] = ['webhooksubscription', 'webhookdelivery', 'approvalpolicy'];

function streamSource(log: RecordLog, stream: string): Source {
  return async (after, limit) => {
    const events = await log.readStream(stream, await firstRevisionAfter(log, stream, after), limit);
    return { events, position: events.at(-1)?.position ?? after, caughtUp: events.length < limit };
  };
}

/** The revision of a stream's first event after a position, or the one its next event will have: first in leaps, then between the last two. */
async function firstRevisionAfter(log: RecordLog, stream: string, after: Position): Promise<number> {
  if (after === startOfLog) return 0;
  const isBefore = async (revision: number): Promise<boolean> => {
    const [event] = await log.readStream(stream, revision, 1);
    return event !== undefined && comparePositions(event.position, after) <= 0;
  };
  let low = 0;
  let high = 1;
  for (; await isBefore(high - 1); high *= 2) low = high;
  while (low < high - 1) {
    const middle = (low + high) >> 1;
    if (await isBefore(middle - 1)) low = middle;
    else high = middle;
  }
  return low;
}

/** Several sources as one, in log order: as far as all of them have been looked through. */
function merged(log: RecordLog, sources: readonly Source[]): Source {
  return async (after, limit) => {
    // Taken first: what is written meanwhile may be in one source and not yet in another.
    const head = await log.head();
    const batches = await Promise.all(sources.map((source) => source(after, limit)));
    const position = batches.map((batch) => (batch.caughtUp ? head : batch.position)).reduce((a, b) => (comparePositions(a, b) <= 0 ? a : b));
    const events = batches.flatMap((batch) => batch.events).filter((event) => comparePositions(event.position, position) <= 0);
    return { events: events.sort((a, b) => comparePositions(a.position, b.position)), position, caughtUp: batches.every(({ caughtUp }) => caughtUp) };
  };
}
