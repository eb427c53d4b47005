import { WrongExpectedRevision } from '#event-store';
import { formatInstant, refuse, type Refusal, type Site, streamOf, uuidV5 } from '#kernel';
import type { Aggregates, ApprovalEnd } from './aggregate.ts';
import type { AnyCommandDefinition } from './definition.ts';
import type { World } from './world.ts';

const namespace = '0f0d9f0c-7b4d-5b7e-8c7d-2f6b1f1c9a55';

/** An approval that must not be used any more, on the resource it was given for. */
export interface Fence {
  readonly site: Site;
  readonly approvalId: string;
  readonly resourceId: string;
}

/**
 * Bars an approval from its resource: afterwards no command can use it. Answers how it had ended already when it was used
 * before the fence. Doing it twice is success. Rejects with the store's errors; then nothing may be acknowledged.
 */
export async function fence(world: World, aggregates: Aggregates, definition: AnyCommandDefinition, { site, approvalId, resourceId }: Fence, correlationId: string): Promise<ApprovalEnd> {
  const stream = streamOf(definition.category, site, resourceId);
  for (;;) {
    const loaded = await aggregates.load(stream, definition.fold(resourceId));
    const end = loaded.endedApprovals.get(approvalId);
    if (end !== undefined) return end;
    const metadata = { recordedat: formatInstant(world.clock.now()), schemaversion: '1', tenant: site.tenant, environment: site.environment, actortype: 'SYSTEM', actorid: 'approvals', approvalid: approvalId, correlationid: correlationId };
    const id = uuidV5(namespace, `${stream}|${approvalId}|${loaded.expected}`);
    try {
      await world.store.append(stream, loaded.expected, [{ id, type: 'ApprovalFenced', data: JSON.stringify({ approvalId }), metadata }]);
      return 'fenced';
    } catch (error) {
      if (!(error instanceof WrongExpectedRevision)) throw error;
    }
  }
}

/** What a revoke or withdrawal answers when the approval was used first. */
export const usedBefore = (approvalId: string, commandId: string): Refusal =>
  refuse('approval-already-used', `Approval ${approvalId} was used by command ${commandId} before it was ended.`, { commandId });
