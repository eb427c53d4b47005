import { type DomainEvent, formatPrincipal, parsePrincipal, type Position, prefixOf, type Projection, resourceOf, type Stored, stored, type Table } from '#kernel';
import { isGateable } from './policy.ts';

/**
 * A refused attempt at a gated command or a vote, by a caller who was authenticated and knows the site: the one event of a
 * stream of its own. Who tried stands in the metadata; what was asked beside what is here is not kept.
 */
export type CommandRefused = DomainEvent<
  'CommandRefused',
  {
    readonly commandType: string;
    /** What was to be changed; null when the command did not name it. */
    readonly resourceId: string | null;
    readonly code: string;
    readonly detail: string;
    readonly keyId: string;
    readonly approvalId: string | null;
    /** How many more refusals of the same key in this site came right before it and stand nowhere. */
    readonly suppressed: number;
  }
>;

const codes: ReadonlySet<string> = new Set([
  'approval-required',
  'approval-pending',
  'approval-expired',
  'approval-denied',
  'approval-withdrawn',
  'approval-revoked',
  'approval-invalidated',
  'approval-already-used',
  'approval-binding-mismatch',
  'approval-not-pending',
  'approver-conflict',
  'approver-not-eligible',
  'actor-not-allowed',
]);

const aboutApprovals: ReadonlySet<string> = new Set(['RequestApproval', 'GrantApproval', 'DenyApproval', 'WithdrawApproval', 'RevokeApproval']);

/** Whether a refusal is put on record: somebody tried to pass a gate, or to vote, who may not. */
export const isOnRecord = (commandType: string, code: string): boolean => codes.has(code) && (isGateable(commandType) || aboutApprovals.has(commandType));

/** A refusal; `actor` is `TYPE:id`, and `actorFolded` the same in lower case: how principals compare. */
export interface RefusalRow {
  readonly tenant: string;
  readonly environment: string;
  readonly position: Position;
  readonly recordedAtMs: number;
  readonly actor: string | null;
  readonly actorFolded: string | null;
  readonly keyId: string;
  readonly commandType: string;
  readonly resourceId: string | null;
  readonly code: string;
  readonly detail: string;
  readonly correlationId: string;
  readonly suppressed: number;
}

export const refusalTable: Table<RefusalRow> = {
  name: 'refusals',
  columns: {
    tenant: 'text',
    environment: 'text',
    position: 'position',
    recordedAtMs: 'integer',
    actor: 'text',
    actorFolded: 'text',
    keyId: 'text',
    commandType: 'text',
    resourceId: 'text',
    code: 'text',
    detail: 'text',
    correlationId: 'text',
    suppressed: 'integer',
  },
  key: ['tenant', 'environment', 'position'],
  indexes: [{ columns: ['tenant', 'environment', 'actorFolded', 'position'] }],
};

/** Refusals, by where they stand in the log. */
export const refusalProjection: Projection = {
  name: 'refusals',
  version: 1,
  prefixes: [prefixOf('refusal')],
  tables: [refusalTable],
  apply(event, rows) {
    if (event.type !== 'CommandRefused') throw new TypeError(`${event.type} at ${event.position} is no refusal`);
    const { site } = resourceOf(event);
    const { data, metadata, position, recordedAt }: Stored<CommandRefused> = stored(event);
    const { commandType, resourceId, code, detail, keyId, suppressed } = data;
    const principal = parsePrincipal(`${metadata['actortype']}:${metadata['actorid']}`);
    const actor = principal === undefined ? null : formatPrincipal(principal);
    rows.put(refusalTable, { ...site, position, recordedAtMs: recordedAt, actor, actorFolded: actor?.toLowerCase() ?? null, keyId, commandType, resourceId, code, detail, correlationId: metadata['correlationid'] ?? '', suppressed });
  },
};
