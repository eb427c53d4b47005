import { comparePositions, type Json, type Position, type Principal, type RecordedEvent } from '#kernel';
import { auditEvent } from './audit-event.ts';
import { sentenceOf } from './story-texts.ts';

export type StoryKind = 'COMMAND' | 'APPROVAL' | 'DELIVERY' | 'EVENT' | 'SUBSCRIPTION' | 'RECOVERY' | 'KEY';
export type EntryKind = 'REQUEST' | 'VOTE' | 'DECISION' | 'COMMAND' | 'CHANGE' | 'EVENT' | 'DELIVERY' | 'ATTEMPT' | 'REFUSAL';

/** One event of a story. */
export interface StoryEntry {
  readonly position: Position;
  readonly at: string;
  readonly kind: EntryKind;
  /** Of the event in the log. */
  readonly type: string;
  readonly actor: Principal | null;
  /** One plain sentence. */
  readonly text: string;
  readonly resourceId: string;
  readonly commandId: string | null;
  readonly approvalId: string | null;
  readonly deliveryId: string | null;
  /** Of the event; null for what a publisher sent, which stands with the event itself. */
  readonly data: Json;
}

/** The entries that one story has at most. */
export const maxStoryEntries = 1_000;

const kinds: Readonly<Record<string, EntryKind>> = {
  ApprovalRequested: 'REQUEST',
  ApprovalVoteCast: 'VOTE',
  ApprovalConsumed: 'DECISION',
  ApprovalFenced: 'DECISION',
  CommandClaimed: 'COMMAND',
  CommandExecuted: 'COMMAND',
  WebhookDeliverySucceeded: 'ATTEMPT',
  WebhookDeliveryAttemptFailed: 'ATTEMPT',
  WebhookDeliveryDeadLettered: 'ATTEMPT',
  WebhookDeliveryDuplicateAttempted: 'ATTEMPT',
};

const kindsByCategory: Readonly<Record<string, EntryKind>> = { approval: 'DECISION', webhookdelivery: 'DELIVERY', event: 'EVENT', probe: 'EVENT', refusal: 'REFUSAL' };

const categoryOf = (stream: string): string => stream.slice(0, stream.indexOf('-'));

export const kindOf = ({ type, stream }: RecordedEvent): EntryKind => kinds[type] ?? kindsByCategory[categoryOf(stream)] ?? 'CHANGE';

/** Events of a site's record as one list in the order of the log, each once; the first thousand of them. */
export function tellStory(events: readonly RecordedEvent[]): { readonly entries: readonly StoryEntry[]; readonly truncated: boolean } {
  const inOrder = [...new Map(events.map((event) => [event.position, event])).values()].sort((a, b) => comparePositions(a.position, b.position));
  return { entries: inOrder.slice(0, maxStoryEntries).map(storyEntry), truncated: inOrder.length > maxStoryEntries };
}

function storyEntry(event: RecordedEvent): StoryEntry {
  const { position, recordedAt: at, type, actor, resourceId, commandId, approvalId, dataText } = auditEvent(event);
  const deliveryId = categoryOf(event.stream) === 'webhookdelivery' ? resourceId : null;
  const data = type === 'EventPublished' ? null : (JSON.parse(dataText) as Json);
  return { position, at, kind: kindOf(event), type, actor, text: sentenceOf(event, resourceId), resourceId, commandId, approvalId: approvalId ?? usedBy(data), deliveryId, data };
}

/** A receipt says with which approval. */
const usedBy = (data: Json): string | null => {
  if (typeof data !== 'object' || data === null || !('approvalId' in data)) return null;
  return typeof data['approvalId'] === 'string' ? data['approvalId'] : null;
};
