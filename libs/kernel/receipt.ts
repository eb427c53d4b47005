import type { DomainEvent } from './events.ts';
import type { JsonObject } from './json.ts';

/** What stands in every governed stream beside the domain's own facts. These four never move a resource's revision. */
export type LedgerEvent =
  /** First event of `command-<site>.<commandId>`: this key means this request, for ever. */
  | DomainEvent<'CommandClaimed', { readonly fingerprint: string; readonly fpv: number; readonly commandType: string; readonly resourceId: string }>
  /** The receipt: last event of the append that is the effect. */
  | DomainEvent<'CommandExecuted', Receipt>
  /** In the same append as the effect it allowed. */
  | DomainEvent<'ApprovalConsumed', { readonly approvalId: string; readonly commandId: string; readonly decidedAt: string; readonly bindingDigest: string }>
  /** This approval can't be used on this resource any more: it was revoked or withdrawn. */
  | DomainEvent<'ApprovalFenced', { readonly approvalId: string }>;

export interface Receipt {
  readonly commandId: string;
  readonly attemptId: string;
  readonly commandType: string;
  readonly resourceId: string;
  readonly fingerprint: string;
  readonly fpv: number;
  readonly outcome: 'APPLIED' | 'NO_CHANGE';
  /** The resource's revision after the command: how many state-changing events it has had. */
  readonly revision: number;
  readonly approvalId: string | null;
  /** The answer without secrets. */
  readonly result: JsonObject;
}

const ledgerTypes: ReadonlySet<string> = new Set(['CommandClaimed', 'CommandExecuted', 'ApprovalConsumed', 'ApprovalFenced'] satisfies LedgerEvent['type'][]);

export const isLedgerEvent = (event: { readonly type: string }): event is LedgerEvent => ledgerTypes.has(event.type);
