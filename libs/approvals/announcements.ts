import { type Announcement, type Announcements, formatPrincipal, type JsonObject, placeOf, type RecordedEvent, stored } from '#kernel';
import type { ApprovalEvent } from './events.ts';

type Event<Type extends ApprovalEvent['type']> = Extract<ApprovalEvent, { type: Type }>;

/** Every announcement says what the approval is for; that stands in its request. */
const announce =
  (type: string, more: (event: RecordedEvent) => JsonObject = () => ({})) =>
  (event: RecordedEvent, origin: RecordedEvent): Announcement => {
    const { binding, requester, dueOn, expiresOn } = stored<Event<'ApprovalRequested'>>(origin).data;
    const { commandType, resourceId } = binding;
    return { type, data: { approvalId: placeOf(event.stream).id, commandType, resourceId, requester: formatPrincipal(requester), dueOn, expiresOn, ...more(event) } };
  };

/** What subscribers are told about approvals. */
export const approvalAnnouncements = {
  ApprovalRequested: announce('approval.requested', (event) => ({ reason: stored<Event<'ApprovalRequested'>>(event).data.reason })),
  ApprovalGranted: announce('approval.granted'),
  ApprovalDenied: announce('approval.denied', (event) => ({ reason: stored<Event<'ApprovalDenied'>>(event).data.reason })),
  ApprovalWithdrawn: announce('approval.withdrawn', (event) => ({ reason: stored<Event<'ApprovalWithdrawn'>>(event).data.reason })),
  ApprovalRevoked: announce('approval.revoked', (event) => ({ reason: stored<Event<'ApprovalRevoked'>>(event).data.reason })),
  ApprovalUseMirrored: announce('approval.consumed', (event) => ({ commandId: stored<Event<'ApprovalUseMirrored'>>(event).data.commandId })),
  ApprovalExpired: announce('approval.expired'),
  ApprovalInvalidated: announce('approval.invalidated', (event) => ({ cause: stored<Event<'ApprovalInvalidated'>>(event).data.cause })),
  ApprovalDueReminded: announce('approval.overdue'),
} satisfies Announcements & Record<Exclude<ApprovalEvent['type'], 'ApprovalVoteCast'>, unknown>;
