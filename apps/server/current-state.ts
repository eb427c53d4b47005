import { type GateableCommand, isOverdue, statusNow } from '#approvals';
import { type Aggregates, commandDefinitions, gateableDefinition, loadApproval, loadPolicy, readClaim, subscriptionFold } from '#command-pipeline';
import { wireBody } from '#deliveries';
import type { EventStore } from '#event-store';
import { actorTypes, type Clock, isLedgerEvent, type LedgerEvent, type Position, type Principal, type RecordedEvent, type Site, stored, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import type { ApprovalRecord, CommandRecord, CurrentState, PolicyRecord } from './parts.ts';

type Binding = Extract<Awaited<ReturnType<typeof loadApproval>>['state'], { readonly binding: object }>['binding'];

/** What the streams say, folded when it is asked for. */
export function createCurrentState(store: EventStore, aggregates: Aggregates, clock: Clock): CurrentState {
  return {
    head: (): Promise<Position> => store.head(),
    approval: (site, approvalId) => approval(aggregates, clock, site, approvalId),
    policy: (site, commandType) => policy(aggregates, site, commandType),
    command: (site, commandId) => command(store, site, commandId),
    async subscriptionExists(site, subscriptionId) {
      const { state } = await aggregates.load(streamOf('webhooksubscription', site, subscriptionId), subscriptionFold);
      return state.status !== 'NONE';
    },
    async wireBody(eventStream) {
      const [event] = await store.readStream(eventStream, 0, 1);
      return event === undefined ? null : wireBody(readPublishedEvent(event));
    },
  };
}

/** What the things an approval is bound to are now, and how the approval has ended on its resource. */
export async function boundNow(aggregates: Aggregates, site: Site, approvalId: string, { commandType, resourceId }: Binding): Promise<{ policyVersion: number; incarnation: string; usedBy: string | null; ended: boolean }> {
  const definition = gateableDefinition(commandType);
  const [{ state }, resource] = await Promise.all([loadPolicy(aggregates, site, commandType), aggregates.load(streamOf(definition.category, site, resourceId), definition.fold(resourceId))]);
  const end = resource.endedApprovals.get(approvalId);
  const usedBy = typeof end === 'object' ? end.usedBy : null;
  return { policyVersion: state.version, incarnation: definition.incarnation(resource.state), usedBy, ended: end !== undefined };
}

async function approval(aggregates: Aggregates, clock: Clock, site: Site, approvalId: string): Promise<ApprovalRecord | undefined> {
  const { state, revision } = await loadApproval(aggregates, site, approvalId);
  if (state.status === 'NONE') return undefined;
  const { usedBy, ...bound } = await boundNow(aggregates, site, approvalId, state.binding);
  const nowMs = clock.now();
  // The truth of a use stands with the resource; the approval's own stream says it a moment later.
  const used = usedBy !== null && state.usedBy === null;
  const status = used ? 'CONSUMED' : statusNow(state, bound, nowMs);
  return { id: approvalId, site, approval: used ? { ...state, usedBy } : state, status, overdue: status === 'PENDING' && isOverdue(state, nowMs), revision };
}

async function policy(aggregates: Aggregates, site: Site, commandType: GateableCommand): Promise<PolicyRecord> {
  const { state } = await loadPolicy(aggregates, site, commandType);
  return { commandType, policy: state.policy, revision: state.version };
}

const categoryOf = new Map(commandDefinitions.map(({ type, category }) => [type, category]));

/** The receipt of a command; undefined when nothing has come of it (or it is not known yet whether something has). */
async function command(store: EventStore, site: Site, commandId: string): Promise<CommandRecord | undefined> {
  const claim = await readClaim(store, streamOf('command', site, commandId));
  const category = claim === undefined ? undefined : categoryOf.get(claim.commandType);
  if (claim === undefined || category === undefined) return undefined;
  const events = await store.readStream(streamOf(category, site, claim.resourceId));
  const event = events.findLast((one) => receiptOf(one)?.commandId === commandId);
  return event === undefined ? undefined : recordOf(event);
}

type Executed = Extract<LedgerEvent, { type: 'CommandExecuted' }>;

const receiptOf = (event: RecordedEvent): Executed['data'] | undefined => (isLedgerEvent(event) && event.type === 'CommandExecuted' ? stored<Executed>(event).data : undefined);

function recordOf(event: RecordedEvent): CommandRecord {
  const { data, position, recordedAt, metadata } = stored<Executed>(event);
  const { commandId, commandType, resourceId, outcome, revision, approvalId, result } = data;
  return { commandId, commandType, resourceId, outcome, revision, position, approvalId, recordedAtMs: recordedAt, result, actor: actorOf(metadata) };
}

function actorOf(metadata: RecordedEvent['metadata']): Principal {
  const type = actorTypes.find((known) => known === metadata['actortype']);
  if (type === undefined) throw new TypeError('a receipt does not say who sent its command');
  return { type, id: metadata['actorid'] ?? '' };
}
