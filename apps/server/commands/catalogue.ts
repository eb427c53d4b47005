import type { CommandType } from '#contracts';
import type { Need } from '../access/authorize.ts';

/** What the HTTP shell knows about a command type beside its payload. */
export interface CommandKind {
  readonly summary: string;
  /** The key needs one of these in the site. */
  readonly needs: readonly Need[];
  /** Its answer has a `result.secret`: the secret it made, once; null on a replay and when it made none. */
  readonly showsSecret?: true;
  /** A policy may gate it. */
  readonly gateable?: true;
}

/** Every command type of `POST /api/commands/{commandType}`. */
export const catalogue: Readonly<Record<CommandType, CommandKind>> = {
  UpsertWebhookSubscription: { summary: 'Create or change a webhook subscription', needs: ['write'], showsSecret: true, gateable: true },
  PauseWebhookSubscription: { summary: 'Attempt nothing until it is resumed; what is published meanwhile is counted', needs: ['write'], gateable: true },
  ResumeWebhookSubscription: { summary: 'Deliver again, from the next event on', needs: ['write'], gateable: true },
  DeleteWebhookSubscription: { summary: 'Delete a webhook subscription; it can be restored for 30 days', needs: ['write'], gateable: true },
  RestoreWebhookSubscription: { summary: 'Bring a deleted webhook subscription back', needs: ['write'], gateable: true },
  RotateWebhookSubscriptionSecret: { summary: 'Replace the signing secret; the old one signs beside it for a while', needs: ['write'], showsSecret: true, gateable: true },
  ReplayWebhookDelivery: { summary: 'Send a delivery again', needs: ['write'], gateable: true },
  RecoverWebhookDeliveries: { summary: 'Send again what a webhook subscription did not get, as a job with progress', needs: ['write'] },
  CancelWebhookRecovery: { summary: 'End a recovery; what it has sent again stays so', needs: ['write'] },
  TestWebhookSubscription: { summary: 'Send one synthetic signed event to this webhook subscription alone', needs: ['write'] },
  RequestApproval: { summary: 'Ask for permission to run one command on one resource, once', needs: ['write'] },
  GrantApproval: { summary: 'Vote for an approval', needs: ['approve'] },
  DenyApproval: { summary: 'Refuse an approval; one vote is enough', needs: ['approve'] },
  WithdrawApproval: { summary: 'Take back one’s own request for an approval', needs: ['write'] },
  RevokeApproval: { summary: 'Take back a granted approval that is not used yet', needs: ['approve', 'admin'] },
  SetApprovalPolicy: { summary: 'Say what a command type needs before it may run', needs: ['admin'], gateable: true },
  PublishEvent: { summary: 'Publish one event; the idempotency key is the event’s id', needs: ['write'] },
  CreateApiKey: { summary: 'Make an API key; its text is shown once', needs: ['admin'], showsSecret: true },
  RevokeApiKey: { summary: 'End an API key, for ever', needs: ['admin'] },
};
