import type { ApprovalBinding, BoundNow } from '#approvals';
import { type Site, streamOf } from '#kernel';
import type { Aggregates, ApprovalEnd } from './aggregate.ts';
import type { AnyCommandDefinition } from './definition.ts';
import { loadPolicy } from './gate.ts';

/** What the things an approval is bound to are now, and how the approval has ended on its resource, if it has. */
export async function boundNow(
  aggregates: Aggregates,
  definition: AnyCommandDefinition,
  site: Site,
  approvalId: string,
  { commandType, resourceId }: Pick<ApprovalBinding, 'commandType' | 'resourceId'>,
): Promise<BoundNow & { readonly end: ApprovalEnd | undefined }> {
  const stream = streamOf(definition.category, site, resourceId);
  const [policy, resource] = await Promise.all([loadPolicy(aggregates, site, commandType), aggregates.load(stream, definition.fold(resourceId))]);
  return { policyVersion: policy.state.version, incarnation: definition.incarnation(resource.state), end: resource.endedApprovals.get(approvalId) };
}
