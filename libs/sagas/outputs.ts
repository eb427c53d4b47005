import { type Approval, type ApprovalEvent, type ApprovalOutput, evolveApproval, initialApproval, overdueFacts } from '#approvals';
import type { CommandAnswer } from '#command-pipeline';
import { type ExpectedRevision, StreamTombstoned, WrongExpectedRevision } from '#event-store';
import { type Cause, type CommandOutput, type CreateOutput, formatInstant, isLedgerEvent, isRefusal, type Metadata, outputId, type Refusal, type Site, stored, streamOf } from '#kernel';
import { TryAgain } from './endure.ts';
import type { SagaOutput, SagaRunnerParts } from './port.ts';

/** What outputs are done with. */
export type OutputParts = Pick<SagaRunnerParts, 'store' | 'clock' | 'execute' | 'vault' | 'approvals'>;

/** An output that can't be done, now or later. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

/** Refusals that pass by themselves. */
const passing: ReadonlySet<string> = new Set(['store-unavailable', 'outcome-unknown', 'projection-behind', 'idempotency-request-in-flight', 'concurrent-modification']);

/**
 * Does what a saga asks for; durable when it resolves. Doing it again changes nothing. Throws the store's errors and
 * `TryAgain` for what may work later, anything else for what will not.
 */
export async function perform(parts: OutputParts, saga: string, output: SagaOutput): Promise<void> {
  switch (output.do) {
    case 'command':
      await send(parts, saga, output);
      return;
    case 'create':
      return await create(parts, saga, output);
    case 'tombstone':
      return await parts.store.tombstone(output.stream);
    case 'shred':
      return await parts.vault.shred(output.site, output.versionId);
    case 'review-approval':
    case 'mirror-use':
    case 'fence-approval':
      return await approval(parts, saga, output);
  }
}

/** Sends a saga's command. Answers what it came to, also where it was refused with one of the codes that settle it; throws as `perform`. */
export async function send({ execute }: Pick<OutputParts, 'execute'>, saga: string, { key, site, commandType, payload, expectedRevision, settledBy, because }: CommandOutput): Promise<CommandAnswer | Refusal> {
  const answer = await execute({
    commandType,
    site,
    actor: { type: 'SYSTEM', id: saga },
    caller: null,
    idempotencyKey: `${saga}|${key}`,
    payload,
    ...(expectedRevision === undefined ? {} : { expectedRevision }),
    ...because,
  });
  if (!isRefusal(answer) || settledBy.includes(answer.refused)) return answer;
  if (passing.has(answer.refused)) throw new TryAgain(`${commandType}: ${answer.refused}`);
  throw new Refused(`${commandType} was refused: ${answer.refused}`);
}

async function create({ store, clock }: OutputParts, saga: string, { key, site, stream, type, data, metadata, because }: CreateOutput): Promise<void> {
  const event = { id: outputId(saga, key), type, data: JSON.stringify(data), metadata: { ...envelope(saga, site, because, clock.now()), ...metadata } };
  try {
    await store.append(stream, 'NO_STREAM', [event]);
  } catch (error) {
    // It was done before, or what it was about has been removed since.
    if (!(error instanceof WrongExpectedRevision || error instanceof StreamTombstoned)) throw error;
  }
}

/** What stands beside every event that a saga writes. */
export const envelope = (saga: string, { tenant, environment }: Site, { correlationId, causationId }: Cause, nowMs: number): Metadata => ({
  recordedat: formatInstant(nowMs),
  schemaversion: '1',
  tenant,
  environment,
  actortype: 'SYSTEM',
  actorid: saga,
  correlationid: correlationId,
  causationid: causationId,
});

async function approval(parts: OutputParts, saga: string, output: ApprovalOutput): Promise<void> {
  const { site, approvalId, because } = output;
  const { state, expected } = await loadApproval(parts, site, approvalId);
  if (output.do === 'fence-approval') return await parts.approvals.fence(site, approvalId, state.binding, because.correlationId);
  const facts = output.do === 'mirror-use' ? mirrored(state, output) : await reviewed(parts, state, output);
  if (facts.length === 0) return;
  const metadata = { ...envelope(saga, site, because, parts.clock.now()), approvalid: approvalId };
  const stream = streamOf('approval', site, approvalId);
  try {
    await parts.store.append(stream, expected, facts.map(({ type, data }) => ({ id: outputId(saga, `${stream}|${type}`), type, data: JSON.stringify(data), metadata })));
  } catch (error) {
    if (error instanceof WrongExpectedRevision) return await approval(parts, saga, output);
    throw error;
  }
}

async function loadApproval({ store }: OutputParts, site: Site, approvalId: string): Promise<{ readonly state: Approval; readonly expected: ExpectedRevision }> {
  const events = await store.readStream(streamOf('approval', site, approvalId));
  const facts = events.filter((event) => !isLedgerEvent(event)).map((event) => stored<ApprovalEvent>(event));
  const state = facts.reduce(evolveApproval, initialApproval);
  if (state.status === 'NONE') throw new Refused(`there is no approval ${approvalId}`);
  return { state, expected: events.length - 1 };
}

const mirrored = ({ usedBy }: Approval, { commandId, position }: Extract<ApprovalOutput, { do: 'mirror-use' }>): readonly ApprovalEvent[] =>
  usedBy === null ? [{ type: 'ApprovalUseMirrored', data: { commandId, position } }] : [];

/** What has ended on the resource reads differently here until the mirror or the fence has said so: nothing is recorded before. */
async function reviewed({ approvals }: OutputParts, state: Approval, { site, approvalId, nowMs }: Extract<ApprovalOutput, { do: 'review-approval' }>): Promise<readonly ApprovalEvent[]> {
  const { ended, ...bound } = await approvals.boundNow(site, approvalId, state.binding);
  return ended ? [] : overdueFacts(state, bound, nowMs);
}
