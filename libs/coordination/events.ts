import { type DomainEvent, type NewEvent, prefixOf, type RecordedEvent } from '#kernel';

interface Process {
  /** Which process, in words for people. */
  readonly process: string;
}

/** In `processclaim-<role>`: who does the role. A holder claims it anew from time to time, so that the streams of its heartbeats stay short. */
export type ProcessClaimed = DomainEvent<'ProcessClaimed', Process>;
/** In `processclaim-<role>`: nobody does it any more. */
export type ProcessReleased = DomainEvent<'ProcessReleased', Process>;
/** In `processclaim-<role>.<revision of the claim>`, by its holder. The stream is removed after the next claim. */
export type ProcessHeartbeat = DomainEvent<'ProcessHeartbeat', Process>;
/** In the same stream, by whoever claims next: the holder can write none any more. */
export type ProcessHeartbeatsEnded = DomainEvent<'ProcessHeartbeatsEnded', Process>;

export type ClaimEvent = ProcessClaimed | ProcessReleased | ProcessHeartbeat | ProcessHeartbeatsEnded;

export const claimStream = (role: string): string => `${prefixOf('processclaim')}${role}`;
export const heartbeatStream = (role: string, claimRevision: number): string => `${claimStream(role)}.${claimRevision}`;

/** The last event of a claim stream, and which claim it is of. */
export interface ClaimSeen {
  readonly revision: number;
  readonly claimRevision: number;
  readonly released: boolean;
  readonly process: string;
}

export function readClaim(event: RecordedEvent): ClaimSeen {
  const { revision } = event;
  const { process } = JSON.parse(event.data) as Process;
  // What is released is the claim just before: nothing else is written there.
  const released = event.type === ('ProcessReleased' satisfies ProcessReleased['type']);
  return { revision, claimRevision: released ? revision - 1 : revision, released, process };
}

export const claimEvent = (id: string, type: ClaimEvent['type'], process: string, recordedat: string): NewEvent => ({
  id,
  type,
  data: JSON.stringify({ process } satisfies Process),
  metadata: { recordedat, schemaversion: '1' },
});
