import { type Aggregates, fence, gateableDefinition, loadPolicy, type World } from '#command-pipeline';
import { streamOf } from '#kernel';
import type { ApprovalGate } from './port.ts';

/** The approval gate as housekeeping needs it, over the streams that the pipeline itself reads. */
export const createApprovalGate = (world: World, aggregates: Aggregates): ApprovalGate => ({
  boundNow: async (site, approvalId, { commandType, resourceId }) => {
    const definition = gateableDefinition(commandType);
    const [policy, resource] = await Promise.all([
      loadPolicy(aggregates, site, commandType),
      aggregates.load(streamOf(definition.category, site, resourceId), definition.fold(resourceId)),
    ]);
    return { policyVersion: policy.state.version, incarnation: definition.incarnation(resource.state), ended: resource.endedApprovals.has(approvalId) };
  },
  fence: async (site, approvalId, { commandType, resourceId }, correlationId) => {
    await fence(world, aggregates, gateableDefinition(commandType), { site, approvalId, resourceId }, correlationId);
  },
});
