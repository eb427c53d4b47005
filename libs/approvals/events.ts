import type { DomainEvent, Principal } from '#kernel';

export const gateableCommands = [
  'UpsertWebhookSubscription',
  'PauseWebhookSubscription',
  'ResumeWebhookSubscription',
  'DeleteWebhookSubscription',
  'RestoreWebhookSubscription',
  'RotateWebhookSubscriptionSecret',
  'ReplayWebhookDelivery',
  'SetApprovalPolicy',
] as const;
/** The commands a policy may gate: their stream is a function of tenant, environment and resource id alone. */
export type GateableCommand = (typeof gateableCommands)[number];

export type BindingLevel = 'RESOURCE' | 'PAYLOAD';

/** What a command type needs before it may take effect in a site. TTL bounds in seconds. */
export interface ApprovalPolicy {
  readonly required: boolean;
  readonly minApprovals: number;
  /** Who may vote; null: every USER with a key bound to it that has the site's `:approve`. */
  readonly approvers: readonly Principal[] | null;
  readonly binding: BindingLevel;
  readonly minTtlSeconds: number;
  readonly maxTtlSeconds: number;
  readonly dueOnMode: 'reminder' | 'closesDecision';
  readonly executor: 'REQUESTER' | 'ANYONE';
  readonly voters: 'BOUND' | 'ASSERTED';
}

export type ApprovalPolicyEvent =
  | DomainEvent<'ApprovalPolicySet', ApprovalPolicy>
  /** The root key set the policy past its own gate. */
  | DomainEvent<'ApprovalPolicyOverridden', ApprovalPolicy>;

/** What an approval is for, and nothing else. `incarnation` is the id of the resource's creation event, or `NONE`. */
export interface ApprovalBinding {
  readonly commandType: GateableCommand;
  readonly resourceId: string;
  readonly incarnation: string;
  readonly level: BindingLevel;
  /** With PAYLOAD: keyed digest of the canonical payload. */
  readonly actionDigest: string | null;
  readonly policyVersion: number;
}

export interface Vote {
  readonly voter: Principal;
  readonly keyId: string;
  /** The voter was named by a trusted front end, not authenticated by a key of its own. */
  readonly asserted: boolean;
}

export type ApprovalEvent =
  | DomainEvent<
      'ApprovalRequested',
      {
        readonly binding: ApprovalBinding;
        readonly policy: ApprovalPolicy;
        /** Who may vote, as of the request. */
        readonly eligible: readonly Principal[];
        readonly requester: Principal;
        readonly onBehalfOf: readonly Principal[];
        /** Everybody who may not vote: requester, on behalf of, owners of keys and agents. */
        readonly chain: readonly Principal[];
        readonly requesterKeyId: string;
        readonly reason: string | null;
        /** What would be changed, without secrets: the payload for which it was asked, when it was given. */
        readonly payload: object | null;
        readonly dueOn: string | null;
        readonly expiresOn: string;
      }
    >
  | DomainEvent<'ApprovalVoteCast', Vote & { readonly reason: string | null }>
  | DomainEvent<'ApprovalGranted', object>
  | DomainEvent<'ApprovalDenied', Vote & { readonly reason: string }>
  | DomainEvent<'ApprovalWithdrawn', { readonly reason: string | null }>
  | DomainEvent<'ApprovalRevoked', { readonly by: Principal; readonly reason: string }>
  /** The mirror of a use: `commandId` took effect with this approval. The truth stands in the resource's stream. */
  | DomainEvent<'ApprovalUseMirrored', { readonly commandId: string; readonly position: string }>
  | DomainEvent<'ApprovalExpired', object>
  | DomainEvent<'ApprovalInvalidated', { readonly cause: 'policy-changed' | 'resource-changed' }>
  | DomainEvent<'ApprovalDueReminded', object>;
