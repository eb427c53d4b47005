import { type Principal, samePrincipal } from '#kernel';
import type { AuditEvent } from './audit-event.ts';

/** Which events of a record are wanted: those that meet every condition that is there. */
export interface RecordFilter {
  /** Recorded at or after, milliseconds since 1970 UTC. */
  readonly sinceMs?: number | undefined;
  /** Recorded at or before. */
  readonly untilMs?: number | undefined;
  readonly actor?: Principal | undefined;
  readonly commandType?: string | undefined;
  readonly resourceId?: string | undefined;
  readonly approvalId?: string | undefined;
  readonly correlationId?: string | undefined;
}

const isOr = (wanted: string | undefined, value: string | null): boolean => wanted === undefined || wanted === value;

/** Whether an event is wanted. */
export function passesFilter(filter: RecordFilter, event: AuditEvent): boolean {
  const { actor } = filter;
  const named = isOr(filter.commandType, event.commandType) && isOr(filter.resourceId, event.resourceId) && isOr(filter.approvalId, event.approvalId) && isOr(filter.correlationId, event.correlationId);
  return named && isWithin(filter, Date.parse(event.recordedAt)) && (actor === undefined || (event.actor !== null && samePrincipal(actor, event.actor)));
}

const isWithin = ({ sinceMs = -Infinity, untilMs = Infinity }: RecordFilter, recordedAtMs: number): boolean => recordedAtMs >= sinceMs && recordedAtMs <= untilMs;
