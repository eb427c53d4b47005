import { domainEvent, type Position, prefixOf, type Projection, type RecordedEvent, resourceOf, type Stored, type Table } from '#kernel';
import type { RecoveryEvent } from './events.ts';
import { evolveRecovery, initialRecovery, type RecoveryState } from './state.ts';

/** A recovery as of its last event; `state` is its folded `Recovery` as JSON. */
export interface RecoveryRow {
  readonly tenant: string;
  readonly environment: string;
  readonly id: string;
  readonly subscriptionId: string;
  readonly status: Exclude<RecoveryState['status'], 'NONE'>;
  readonly startedPosition: Position;
  readonly state: string;
}

export const recoveryTable: Table<RecoveryRow> = {
  name: 'recoveries',
  columns: { tenant: 'text', environment: 'text', id: 'text', subscriptionId: 'text', status: 'text', startedPosition: 'position', state: 'text' },
  key: ['tenant', 'environment', 'id'],
  indexes: [{ columns: ['tenant', 'environment', 'startedPosition'] }],
};

const types: Record<RecoveryEvent['type'], true> = {
  WebhookRecoveryStarted: true,
  WebhookRecoveryProgressed: true,
  WebhookRecoveryFinished: true,
  WebhookRecoveryCancelled: true,
};

/** The recovery event in a recorded one; undefined for a ledger event. Throws for a type it does not know. */
export const recoveryEvent = (event: RecordedEvent): Stored<RecoveryEvent> | undefined => domainEvent<RecoveryEvent>(event, types);

/** Recoveries and how far they are. */
export const recoveryProjection: Projection = {
  name: 'recoveries',
  version: 1,
  prefixes: [prefixOf('recovery')],
  tables: [recoveryTable],
  apply(event, rows) {
    const fact = recoveryEvent(event);
    if (fact === undefined) return;
    const { site, id } = resourceOf(event);
    const row = rows.get(recoveryTable, [site.tenant, site.environment, id]);
    const state = evolveRecovery(row === undefined ? initialRecovery : (JSON.parse(row.state) as RecoveryState), fact);
    if (state.status === 'NONE') throw new TypeError(`${fact.type} at ${fact.position} left no recovery`);
    const { subscriptionId, status, startedPosition } = state;
    rows.put(recoveryTable, { ...site, id, subscriptionId, status, startedPosition, state: JSON.stringify(state) });
  },
};
