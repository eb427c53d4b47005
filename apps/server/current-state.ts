import { type GateableCommand, isOverdue, statusNow } from '#approvals';
import { type Aggregates, approvalBounds, type ApprovalUpkeep, commandDefinitions, deliveryFold, loadApproval, loadPolicy, readClaim, recoveryFold, subscriptionFold } from '#command-pipeline';
import { wireBody } from '#deliveries';
import type { EventStore } from '#event-store';
import { actorTypes, type Clock, isLedgerEvent, isName, type LedgerEvent, type Position, type Principal, type RecordedEvent, type Site, stored, streamOf } from '#kernel';
import { readPublishedEvent } from '#publishing';
import { deliveryView, type DeliveryView, recoveryView, type RecoveryView } from '#read-models';
import type { ApprovalRecord, CommandRecord, CurrentState, PolicyRecord, SubscriptionRecord } from './parts.ts';

/** The log, and the time that its states are of. */
export interface StateSource {
  readonly store: Pick<EventStore, 'readStream' | 'head'>;
  readonly clock: Pick<Clock, 'now'>;
}

/** What the streams say, folded when it is asked for. */
export function createCurrentState({ store, clock }: StateSource, aggregates: Aggregates): CurrentState {
  const bounds = approvalBounds(aggregates);
  return {
    head: (): Promise<Position> => store.head(),
    // What comes out of a URL may be anything: text that is no id names nothing.
    approval: async (site, approvalId) => (isName(approvalId) ? await approval(aggregates, bounds, clock, site, approvalId) : undefined),
    policy: (site, commandType) => policy(aggregates, site, commandType),
    command: async (site, commandId) => (isName(commandId) ? await command(store, site, commandId) : undefined),
    subscription: async (site, subscriptionId) => (isName(subscriptionId) ? await subscription(aggregates, site, subscriptionId) : undefined),
    delivery: async (site, deliveryId) => (isName(deliveryId) ? await delivery(aggregates, site, deliveryId) : undefined),
    recovery: async (site, recoveryId) => (isName(recoveryId) ? await recovery(aggregates, site, recoveryId) : undefined),
    async wireBody(eventStream) {
      const [event] = await store.readStream(eventStream, 0, 1);
      return event === undefined ? null : wireBody(readPublishedEvent(event));
    },
  };
}

async function approval(aggregates: Aggregates, bounds: Pick<ApprovalUpkeep, 'boundNow'>, clock: StateSource['clock'], site: Site, approvalId: string): Promise<ApprovalRecord | undefined> {
  const { state, revision } = await loadApproval(aggregates, site, approvalId);
  if (state.status === 'NONE') return undefined;
  const { usedBy, ...bound } = await bounds.boundNow(site, approvalId, state.binding);
  const nowMs = clock.now();
  // The truth of a use stands with the resource; the approval's own stream says it a moment later.
  const used = usedBy !== null && state.usedBy === null;
  const status = used ? 'CONSUMED' : statusNow(state, bound, nowMs);
  return { id: approvalId, site, approval: used ? { ...state, usedBy } : state, status, overdue: status === 'PENDING' && isOverdue(state, nowMs), revision };
}

async function subscription(aggregates: Aggregates, site: Site, subscriptionId: string): Promise<SubscriptionRecord | undefined> {
  const { state, revision } = await aggregates.load(streamOf('webhooksubscription', site, subscriptionId), subscriptionFold);
  return state.status === 'NONE' ? undefined : { state, revision };
}

async function delivery(aggregates: Aggregates, site: Site, id: string): Promise<DeliveryView | undefined> {
  const { state } = await aggregates.load(streamOf('webhookdelivery', site, id), deliveryFold);
  if (state.status === 'NONE') return undefined;
  const found = await subscription(aggregates, site, state.subscriptionId);
  return deliveryView({ id, state, subscription: found?.state ?? null });
}

async function recovery(aggregates: Aggregates, site: Site, id: string): Promise<RecoveryView | undefined> {
  const { state } = await aggregates.load(streamOf('recovery', site, id), recoveryFold);
  return state.status === 'NONE' ? undefined : recoveryView(site, id, state);
}

async function policy(aggregates: Aggregates, site: Site, commandType: GateableCommand): Promise<PolicyRecord> {
  const { state } = await loadPolicy(aggregates, site, commandType);
  return { commandType, policy: state.policy, revision: state.version };
}

const categoryOf = new Map(commandDefinitions.map(({ type, category }) => [type, category]));

/** The receipt of a command; undefined when nothing has come of it (or it is not known yet whether something has). */
async function command(store: StateSource['store'], site: Site, commandId: string): Promise<CommandRecord | undefined> {
  const claim = await readClaim(store, streamOf('command', site, commandId));
  const category = claim === undefined ? undefined : categoryOf.get(claim.commandType);
  if (claim === undefined || category === undefined) return undefined;
  const event = await receiptIn(store, streamOf(category, site, claim.resourceId), commandId);
  return event === undefined ? undefined : recordOf(event);
}

const eventsPerRead = 1_000;

/** Page by page: a stream may be long, and who asks for a command needs one event of it. A command has one receipt. */
async function receiptIn(store: StateSource['store'], stream: string, commandId: string): Promise<RecordedEvent | undefined> {
  for (let from = 0; ; from += eventsPerRead) {
    const page = await store.readStream(stream, from, eventsPerRead);
    const receipt = page.find((one) => receiptOf(one)?.commandId === commandId);
    if (receipt !== undefined || page.length < eventsPerRead) return receipt;
  }
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
