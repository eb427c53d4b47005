import { apiKeyProjection } from '#access';
import { approvalPolicyProjection, approvalProjection, refusalProjection } from '#approvals';
import { deliveryProjection, transcriptProjection } from '#deliveries';
import type { Projection } from '#kernel';
import { eventProjection, missedProjection } from '#publishing';
import { recoveryProjection } from '#recoveries';
import { subscriptionProjection } from '#subscriptions';
import { commandProjection } from './commands.ts';

/** Everything that folds the log into read models. */
export const projections: readonly Projection[] = [
  subscriptionProjection,
  deliveryProjection,
  transcriptProjection,
  eventProjection,
  missedProjection,
  recoveryProjection,
  approvalProjection,
  approvalPolicyProjection,
  refusalProjection,
  apiKeyProjection,
  commandProjection,
];

/** What any projection folds. */
export const followed = { prefixes: [...new Set(projections.flatMap(({ prefixes }) => prefixes))] };
