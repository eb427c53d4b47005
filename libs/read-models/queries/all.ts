import { approversOf, getApiKey, listApiKeys, ownersOf } from './access.ts';
import { approvalCandidates, listApprovals, listPolicies, openApprovalsBy } from './approvals.ts';
import { getAttempts, getDelivery, lanes, listDeliveries, openDeliveries, queueDepth, transcriptPlaces } from './deliveries.ts';
import { getCommand } from './receipts.ts';
import { listRecoveries, recordedWithin, selectDeliveries, selectMissed } from './recoveries.ts';
import { listRefusals } from './refusals.ts';
import { publishedIds, signedAttempts } from './stories.ts';
import { getSubscription, listSubscriptions, oldestUndeliveredAt, subscriptionHealth, subscriptionVersions } from './subscriptions.ts';

/** Everything that can be asked of the read models, by name: asked on one thread, answered on another. */
export const queries = {
  approvalCandidates,
  approversOf,
  getApiKey,
  getAttempts,
  getCommand,
  getDelivery,
  getSubscription,
  lanes,
  listApiKeys,
  listApprovals,
  listDeliveries,
  listPolicies,
  listRecoveries,
  listRefusals,
  listSubscriptions,
  oldestUndeliveredAt,
  openApprovalsBy,
  openDeliveries,
  ownersOf,
  publishedIds,
  queueDepth,
  recordedWithin,
  selectDeliveries,
  selectMissed,
  signedAttempts,
  subscriptionHealth,
  subscriptionVersions,
  transcriptPlaces,
};

export type Queries = typeof queries;
