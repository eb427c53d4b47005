import { type LedgerEvent, type Position, prefixOf, type Projection, resourceOf, type Stored, stored, type Table } from '#kernel';

/** A command that took effect or was a no-op, as its receipt says. Publishing has no row here: its stream is its receipt. */
export interface CommandRow {
  readonly tenant: string;
  readonly environment: string;
  readonly id: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  readonly revision: number;
  readonly approvalId: string | null;
  readonly actor: string;
  readonly position: Position;
  readonly recordedAtMs: number;
  /** JSON, without secrets. */
  readonly result: string;
}

export const commandTable: Table<CommandRow> = {
  name: 'commands',
  columns: {
    tenant: 'text',
    environment: 'text',
    id: 'text',
    commandType: 'text',
    resourceId: 'text',
    outcome: 'text',
    revision: 'integer',
    approvalId: 'text',
    actor: 'text',
    position: 'position',
    recordedAtMs: 'integer',
    result: 'text',
  },
  key: ['tenant', 'environment', 'id'],
};

const governed = ['webhooksubscription', 'webhookdelivery', 'recovery', 'probe', 'approval', 'approvalpolicy', 'apikey'] as const;

/** Receipts, by commandId. */
export const commandProjection: Projection = {
  name: 'commands',
  version: 1,
  prefixes: governed.map(prefixOf),
  tables: [commandTable],
  apply(event, rows) {
    if (event.type !== 'CommandExecuted') return;
    const { site } = resourceOf(event);
    const { data, metadata, position, recordedAt }: Stored<Extract<LedgerEvent, { type: 'CommandExecuted' }>> = stored(event);
    const { commandId, commandType, resourceId, outcome, revision, approvalId, result } = data;
    const actor = `${metadata['actortype'] ?? ''}:${metadata['actorid'] ?? ''}`;
    rows.put(commandTable, { ...site, id: commandId, commandType, resourceId, outcome, revision, approvalId, actor, position, recordedAtMs: recordedAt, result: JSON.stringify(result) });
  },
};
