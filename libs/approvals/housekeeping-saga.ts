import { type Category, type Cause, causedBy, type LedgerEvent, type OpenInstances, placeOf, type Position, prefixOf, type Reaction, type RecordedEvent, type Saga, type SagaInput, type Site, stored, streamOf } from '#kernel';
import type { ApprovalEvent, ApprovalPolicyEvent, GateableCommand } from './events.ts';

/** What housekeeping asks for. Whoever does it looks at the streams as they are then, so doing it twice is harmless. */
export type ApprovalOutput = { readonly site: Site; readonly approvalId: string; readonly because: Cause } & (
  | {
      /** Record what is true of the approval at `nowMs` and no event says yet (`overdueFacts`). */
      readonly do: 'review-approval';
      readonly nowMs: number;
    }
  /** Bar an ended approval from its resource, unless it is barred or was used. */
  | { readonly do: 'fence-approval' }
  /** Record in the approval's own stream that it was used. */
  | { readonly do: 'mirror-use'; readonly commandId: string; readonly position: Position }
);

/** What is kept of an approval until it has ended. */
export type KeptApproval =
  | {
      readonly kind: 'open';
      /** Streams of what it is bound to: when they change, it is reviewed. */
      readonly resource: string;
      readonly policy: string;
      readonly approved: boolean;
      readonly dueAtMs: number | null;
      readonly expiresAtMs: number;
      readonly reviewAtMs: number | null;
      readonly because: Cause;
    }
  | { readonly kind: 'ending'; readonly fenceAtMs: number; readonly because: Cause };

/**
 * How long a change waits before it is followed up: longer than a command may take (10 s), so that a process at work on
 * it finishes first, and a use whose gate was passed before the change is in the log.
 */
export const graceMs = 15_000;

const categories: Readonly<Record<GateableCommand, Category>> = {
  UpsertWebhookSubscription: 'webhooksubscription',
  PauseWebhookSubscription: 'webhooksubscription',
  ResumeWebhookSubscription: 'webhooksubscription',
  DeleteWebhookSubscription: 'webhooksubscription',
  RestoreWebhookSubscription: 'webhooksubscription',
  RotateWebhookSubscriptionSecret: 'webhooksubscription',
  ReplayWebhookDelivery: 'webhookdelivery',
  SetApprovalPolicy: 'approvalpolicy',
};

type Approval<Type extends ApprovalEvent['type']> = Extract<ApprovalEvent, { type: Type }>;
type Ledger<Type extends LedgerEvent['type']> = Extract<LedgerEvent, { type: Type }>;
type Followed = Exclude<ApprovalEvent['type'], 'ApprovalVoteCast' | 'ApprovalDueReminded'>;

const followed: Readonly<Record<Followed, true>> = {
  ApprovalRequested: true,
  ApprovalGranted: true,
  ApprovalDenied: true,
  ApprovalWithdrawn: true,
  ApprovalRevoked: true,
  ApprovalUseMirrored: true,
  ApprovalExpired: true,
  ApprovalInvalidated: true,
};

/** What gives a resource another incarnation or a policy another version. */
const changes: ReadonlySet<string> = new Set([
  'WebhookSubscriptionCreated',
  'WebhookSubscriptionPurged',
  ...(['ApprovalPolicySet', 'ApprovalPolicyOverridden'] satisfies ApprovalPolicyEvent['type'][]),
]);

const isApprovalEvent = ({ type }: RecordedEvent): boolean => Object.hasOwn(followed, type);
const endsApproval = ({ type }: RecordedEvent): boolean => type === 'ApprovalConsumed' || type === 'ApprovalFenced';

/**
 * Keeps what approvals' streams say level with what is true: mirrors uses, repeats fences that a dead process left
 * unfinished, records expiry and invalidation, reminds at `dueOn`. An instance is an approval.
 */
export const approvalHousekeeping: Saga<KeptApproval, ApprovalOutput> = {
  name: 'approval-housekeeping',
  prefixes: [prefixOf('approval'), prefixOf('approvalpolicy'), prefixOf('webhooksubscription'), prefixOf('webhookdelivery')],
  wants: (event) => isApprovalEvent(event) || endsApproval(event) || changes.has(event.type),
  instancesOf: (event, _origin, open) => {
    if (isApprovalEvent(event)) return [event.stream];
    if (!endsApproval(event)) return boundTo(event.stream, open);
    return [streamOf('approval', placeOf(event.stream).site, stored<Ledger<'ApprovalConsumed' | 'ApprovalFenced'>>(event).data.approvalId)];
  },
  react: (instance, state, input) => {
    const { site, id: approvalId } = placeOf(instance);
    return input.kind === 'deadline' ? atDeadline({ site, approvalId }, state, input.nowMs) : onEvent({ site, approvalId }, state, input);
  },
  deadlineOf: (state) => (state.kind === 'ending' ? state.fenceAtMs : Math.min(state.dueAtMs ?? Infinity, state.reviewAtMs ?? Infinity, state.expiresAtMs)),
};

interface Named {
  readonly site: Site;
  readonly approvalId: string;
}

type Reacts = Reaction<KeptApproval, ApprovalOutput>;

const over: Reacts = { state: null, outputs: [] };

function boundTo(stream: string, open: OpenInstances<KeptApproval>): readonly string[] {
  const instances: string[] = [];
  for (const [instance, state] of open) if (state.kind === 'open' && (state.resource === stream || state.policy === stream)) instances.push(instance);
  return instances;
}

function atDeadline(named: Named, state: KeptApproval | null, nowMs: number): Reacts {
  if (state === null) return over;
  const { because } = state;
  if (state.kind === 'ending') return { state: null, outputs: [{ ...named, because, do: 'fence-approval' }] };
  const later = (atMs: number | null): number | null => (atMs !== null && atMs > nowMs ? atMs : null);
  const kept = state.expiresAtMs > nowMs ? { ...state, dueAtMs: later(state.dueAtMs), reviewAtMs: later(state.reviewAtMs) } : null;
  return { state: kept, outputs: [{ ...named, because, do: 'review-approval', nowMs }] };
}

function onEvent(named: Named, state: KeptApproval | null, { event }: Extract<SagaInput, { kind: 'event' }>): Reacts {
  if (event.type === 'ApprovalConsumed') return { state: null, outputs: [mirror(named, event)] };
  if (event.type === 'ApprovalFenced') return state?.kind === 'ending' ? over : { state, outputs: [] };
  if (changes.has(event.type)) return { state: reviewed(state, event), outputs: [] };
  return { state: folded(named.site, state, event), outputs: [] };
}

function mirror(named: Named, event: RecordedEvent): ApprovalOutput {
  const { commandId } = stored<Ledger<'ApprovalConsumed'>>(event).data;
  return { ...named, do: 'mirror-use', commandId, position: event.position, because: causedBy(event) };
}

function reviewed(state: KeptApproval | null, event: RecordedEvent): KeptApproval | null {
  return state?.kind === 'open' ? { ...state, reviewAtMs: stored(event).recordedAt + graceMs } : state;
}

function folded(site: Site, state: KeptApproval | null, recorded: RecordedEvent): KeptApproval | null {
  const event = stored<Approval<Followed>>(recorded);
  const ending = (): KeptApproval => ({ kind: 'ending', fenceAtMs: event.recordedAt + graceMs, because: causedBy(recorded) });
  switch (event.type) {
    case 'ApprovalRequested': {
      const { binding, dueOn, expiresOn } = event.data;
      return {
        kind: 'open',
        resource: streamOf(categories[binding.commandType], site, binding.resourceId),
        policy: streamOf('approvalpolicy', site, binding.commandType),
        approved: false,
        dueAtMs: dueOn === null ? null : Date.parse(dueOn),
        expiresAtMs: Date.parse(expiresOn),
        // What it is bound to may have changed while it was being requested.
        reviewAtMs: event.recordedAt + graceMs,
        because: causedBy(recorded),
      };
    }
    case 'ApprovalGranted':
      return state?.kind === 'open' ? { ...state, approved: true } : state;
    case 'ApprovalRevoked':
      return ending();
    case 'ApprovalWithdrawn':
      return state?.kind === 'open' && state.approved ? ending() : null;
    case 'ApprovalDenied':
    case 'ApprovalUseMirrored':
    case 'ApprovalExpired':
    case 'ApprovalInvalidated':
      return null;
  }
}
