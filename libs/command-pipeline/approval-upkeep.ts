import type { ApprovalBinding, BoundNow } from '#approvals';
import type { Site } from '#kernel';
import type { Aggregates } from './aggregate.ts';
import { boundNow } from './bound-now.ts';
import { gateableDefinition } from './commands/index.ts';
import { fence } from './fence.ts';
import type { World } from './world.ts';

/** What keeps approvals and the resources they are for in step, for those who look after them (the housekeeping saga, readers). */
export interface ApprovalUpkeep {
  /** What the approval is bound to, as it is now; `usedBy`: the command that used it; `ended`: used, or barred from its resource. */
  boundNow(site: Site, approvalId: string, binding: ApprovalBinding): Promise<BoundNow & { readonly usedBy: string | null; readonly ended: boolean }>;
  /** Bars the approval from its resource, unless it is barred or was used already. Durable when it resolves. */
  fence(site: Site, approvalId: string, binding: ApprovalBinding, correlationId: string): Promise<void>;
}

/** The half of it that only reads. */
export const approvalBounds = (aggregates: Aggregates): Pick<ApprovalUpkeep, 'boundNow'> => ({
  boundNow: async (site, approvalId, binding) => {
    const { end, ...bound } = await boundNow(aggregates, gateableDefinition(binding.commandType), site, approvalId, binding);
    return { ...bound, usedBy: typeof end === 'object' ? end.usedBy : null, ended: end !== undefined };
  },
});

/** Reads and writes streams, never a read model; rejects with the store's errors. */
export const createApprovalUpkeep = (world: World, aggregates: Aggregates): ApprovalUpkeep => ({
  ...approvalBounds(aggregates),
  fence: async (site, approvalId, { commandType, resourceId }, correlationId) => {
    await fence(world, aggregates, gateableDefinition(commandType), { site, approvalId, resourceId }, correlationId);
  },
});
