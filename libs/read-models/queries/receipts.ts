import type Database from 'better-sqlite3';
import type { JsonObject, Position, Site } from '#kernel';
import { type CommandRow, commandTable } from '../commands.ts';
import { columnsOf } from '../sql.ts';
import { sql } from './statement.ts';

/** A command that took effect or was a no-op. `result` is its answer without secrets. */
export interface CommandItem {
  readonly commandId: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  readonly revision: number;
  readonly approvalId: string | null;
  /** `TYPE:id`. */
  readonly actor: string;
  readonly position: Position;
  readonly recordedAtMs: number;
  readonly result: JsonObject;
}

export function getCommand(database: Database.Database, { site, id }: { site: Site; id: string }): CommandItem | undefined {
  const row = sql<CommandRow>(database, `SELECT ${columnsOf(commandTable)} FROM commands WHERE tenant = ? AND environment = ? AND id = ?`).get(site.tenant, site.environment, id);
  if (row === undefined) return undefined;
  const { tenant: _tenant, environment: _environment, id: commandId, result, ...command } = row;
  return { commandId, ...command, result: JSON.parse(result) as JsonObject };
}
