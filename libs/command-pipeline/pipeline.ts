import { type Append, appendBytes, maxAppendBytes, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { formatInstant, isRefusal, type Metadata, type NewEvent, type Receipt, refuse, type Refusal, type Site } from '#kernel';
import { type Aggregates, createAggregates, type Loaded, type StoredReceipt } from './aggregate.ts';
import { appendBehindUntilKnown, type Appended, appendUntilKnown } from './append.ts';
import { type Attempt, begin, recall, type Recalled, unread } from './attempt.ts';
import { claimAppend, keyInFlight, keyReused, outcomeUnknown, readClaim, storeUnavailable } from './claim.ts';
import type { AnyCommandDefinition, MadeSecrets, Seal } from './definition.ts';
import { dryRun } from './dry-run.ts';
import { commandIdOf, eventIdOf, fingerprintOf, metadataOf, toEvents } from './identity.ts';
import { inTime } from './in-time.ts';
import { type Plan, planOf } from './plan.ts';
import type { CommandAnswer, CommandPipeline, CommandRequest } from './port.ts';
import { createTurns } from './turns.ts';
import type { World } from './world.ts';

/** How often a command may decide anew after a conflict. */
const maxTries = 10;

/**
 * The pipeline every command goes through: recall, load, replay?, gate, decide, claim, append, answer. Only single-stream
 * atomic appends are assumed of the store; there is no lock to leak and no completion step to lose.
 */
export function createCommandPipeline(world: World, definitions: readonly AnyCommandDefinition[], aggregates: Aggregates = createAggregates(world.store)): CommandPipeline {
  const turns = createTurns();
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));

  function definitionOf(request: CommandRequest): AnyCommandDefinition {
    const definition = byType.get(request.commandType);
    if (definition === undefined) throw new TypeError(`no command type ${request.commandType}`);
    return definition;
  }

  async function run(request: CommandRequest, commandId: string): Promise<CommandAnswer | Refusal> {
    // Nearly every key is new: what it is bound to is only read when something speaks for it.
    const recalled = unread(world);
    const first = await attemptOnce(request, commandId, recalled);
    if (first !== 'bound') return first;
    const again = await attemptOnce(request, commandId, await recall(world, request, commandId, recalled));
    return again === 'bound' ? keyInFlight() : again;
  }

  async function attemptOnce(request: CommandRequest, commandId: string, recalled: Recalled): Promise<CommandAnswer | Refusal | 'bound'> {
    const attempt = await begin(world, aggregates, definitionOf(request), request, commandId, recalled);
    if (isRefusal(attempt)) return attempt;
    const answer = await world.inFlight.once(commandId, attempt, () => turns.alone(attempt.stream, () => tryUntilDone(world, aggregates, attempt)));
    return answer === 'busy' ? await answerWhileBusy(world, aggregates, attempt) : answer;
  }

  return {
    async execute(request) {
      const commandId = commandIdOf(request.site, request.idempotencyKey, request.caller === null ? 'saga' : 'caller');
      try {
        const answer = run(request, commandId);
        // A saga waits for the true answer.
        return await (request.caller === null ? answer : inTime(world.clock, answer));
      } catch (error) {
        // Reads and seals fail like this, before any effect; from the append that is the effect on, `orUnknown` tells.
        if (error instanceof StoreUnavailable || error instanceof OutcomeUnknown) return storeUnavailable();
        throw error;
      }
    },
    async dryRun(request) {
      const commandId = commandIdOf(request.site, request.idempotencyKey, 'caller');
      return await dryRun(world, aggregates, definitionOf(request), request, commandId);
    },
  };
}

/** Whoever has the key may have taken effect already, and have died, or lost Redis, before the key was let go: what stands in the log is answered. */
async function answerWhileBusy(world: World, aggregates: Aggregates, attempt: Attempt): Promise<CommandAnswer | Refusal | 'bound'> {
  if (attempt.claimed === undefined) return (await isBound(world, attempt)) ? 'bound' : keyInFlight();
  const loaded = await aggregates.load(attempt.stream, attempt.definition.fold(attempt.resourceId));
  const receipt = loaded.receipts.get(attempt.commandId);
  return receipt === undefined ? keyInFlight() : await replay(world, aggregates, attempt, loaded, receipt);
}

const isBound = async (world: World, { claimStream }: Attempt): Promise<boolean> => (await readClaim(world.store, claimStream)) !== undefined;

/** `bound`: nothing was written, because the key is bound already, to this request or another; the claim decides. */
async function tryUntilDone(world: World, aggregates: Aggregates, attempt: Attempt): Promise<CommandAnswer | Refusal | 'bound'> {
  let claimed = attempt.claimed !== undefined;
  for (let tries = 0; tries < maxTries && world.clock.monotonicMs() < attempt.deadlineMs; tries += 1) {
    const loaded = await aggregates.load(attempt.stream, attempt.definition.fold(attempt.resourceId));
    const receipt = loaded.receipts.get(attempt.commandId);
    if (receipt !== undefined) return await replay(world, aggregates, attempt, loaded, receipt);
    const draft = await draftOf(world, aggregates, attempt, loaded, tries);
    if (isRefusal(draft)) return claimed || !(await isBound(world, attempt)) ? draft : 'bound';
    const answer = await write(world, aggregates, attempt, loaded, draft, claimed);
    if (answer !== 'conflict') return answer;
    claimed = true;
  }
  return refuse('concurrent-modification', `Others kept changing ${attempt.resourceId} at the same moment. Try again with the same idempotency key.`);
}

/** The command has taken effect before: its answer again, without the secret. The gate is not asked again. */
async function replay(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, receipt: StoredReceipt): Promise<CommandAnswer | Refusal> {
  const fingerprint = receipt.fpv === attempt.fpv ? attempt.fingerprint : await fingerprintOf(world.vault, attempt.request, receipt.fpv);
  if (receipt.fingerprint !== fingerprint) return keyReused();
  return await settle(world, aggregates, attempt, loaded, receipt, receipt.attemptId === attempt.attemptId ? 'first' : 'replay', null);
}

function claimOf({ claimStream, request, commandId, attemptId, fingerprint, fpv, resourceId }: Attempt, metadata: Metadata): Append {
  return claimAppend(claimStream, { fingerprint, fpv, commandType: request.commandType, resourceId }, metadata, eventIdOf(commandId, attemptId, 0, -1));
}

/** What was decided, and the one append that will say so. */
interface Draft {
  readonly plan: Plan;
  readonly receipt: Receipt;
  /** The envelope of everything that this try writes. */
  readonly metadata: Metadata;
  readonly events: readonly NewEvent[];
}

/** Everything that refuses, also for its size, stands before the claim: a refusal never binds the key. */
async function draftOf(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, tries: number): Promise<Draft | Refusal> {
  const plan = await planOf(world, aggregates, attempt, loaded, tries);
  if (isRefusal(plan)) return plan;
  const receipt = receiptOf(attempt, loaded, plan);
  const metadata = metadataOf(attempt.request, attempt.commandId, attempt.attemptId, plan.nowMs);
  const events = eventsOf(attempt, plan, receipt, metadata, tries);
  if (appendBytes(events) <= maxAppendBytes) return { plan, receipt, metadata, events };
  return refuse('payload-too-large', `What the command would write is over the limit of ${maxAppendBytes} bytes.`, { limitBytes: maxAppendBytes });
}

/** The claim, where it is not written; what must be sealed; then one append: facts, consumptions, receipt. */
async function write(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, draft: Draft, claimed: boolean): Promise<CommandAnswer | Refusal | 'conflict' | 'bound'> {
  const { plan, receipt } = draft;
  const appended = await appendDraft(world, attempt, loaded, draft, claimed);
  if (appended === 'conflict' || appended === 'bound') return appended;
  if (appended === 'unavailable') return storeUnavailable();
  const secret = plan.made?.reveal ?? null;
  if (appended === 'unknown') return await lookForReceipt(world, aggregates, attempt, secret);
  return await settle(world, aggregates, attempt, loaded, { ...receipt, position: appended.written.position }, 'first', secret);
}

async function appendDraft({ store, clock, vault }: World, attempt: Attempt, { expected }: Loaded<unknown>, { plan, metadata, events }: Draft, claimed: boolean): Promise<Appended | 'bound'> {
  const { request, stream } = attempt;
  const usableUntilMs = clock.monotonicMs() + usableForMs(plan, clock.now());
  const deadlineMs = Math.min(attempt.deadlineMs, usableUntilMs);
  const claim = claimed ? undefined : claimOf(attempt, metadata);
  const seals = sealsOf(plan);
  if (claim !== undefined && seals.length === 0) return await appendBehindUntilKnown(store, clock, claim, { stream, expected, events }, deadlineMs);
  // Nothing is sealed for a key that is bound to another request.
  const bound = claim === undefined ? undefined : await appendUntilKnown(store, clock, claim.stream, claim.expected, claim.events, attempt.deadlineMs);
  if (typeof bound === 'string') return bound === 'conflict' ? 'bound' : bound;
  await sealAll(vault, request.site, seals);
  // What has not been sent when the approval expires is decided anew.
  if (clock.monotonicMs() >= usableUntilMs) return 'conflict';
  return await appendUntilKnown(store, clock, stream, expected, events, deadlineMs);
}

/** How long the approvals of the plan can still be used. */
const usableForMs = ({ consumptions }: Plan, nowMs: number): number => Math.max(0, Math.min(...consumptions.map(({ expiresOnMs }) => expiresOnMs)) - nowMs);

const sealsOf = ({ made }: Plan): readonly Seal[] => made?.seals ?? [];

async function sealAll(vault: World['vault'], site: Site, seals: readonly Seal[]): Promise<void> {
  await Promise.all(seals.map(({ versionId, secret, ...of }) => vault.store({ site, ...of }, versionId, secret)));
}

function receiptOf(attempt: Attempt, loaded: Loaded<unknown>, plan: Plan): Receipt {
  const { commandId, attemptId, request, resourceId, fingerprint, fpv } = attempt;
  return {
    commandId,
    attemptId,
    commandType: request.commandType,
    resourceId,
    fingerprint,
    fpv,
    outcome: plan.facts.length > 0 ? 'APPLIED' : 'NO_CHANGE',
    revision: loaded.revision + plan.facts.length,
    approvalId: plan.consumptions[0]?.approvalId ?? null,
    result: plan.result,
  };
}

function eventsOf({ commandId, attemptId }: Attempt, plan: Plan, receipt: Receipt, metadata: Metadata, tries: number): readonly NewEvent[] {
  const decidedAt = formatInstant(plan.nowMs);
  const consumed = plan.consumptions.map(({ approvalId, bindingDigest }) => ({ type: 'ApprovalConsumed', data: { approvalId, commandId, decidedAt, bindingDigest } }));
  const [approval] = plan.consumptions;
  const withApproval = approval === undefined ? metadata : { ...metadata, approvalid: approval.approvalId };
  return toEvents([...plan.facts, ...consumed, { type: 'CommandExecuted', data: receipt }], withApproval, (index) => eventIdOf(commandId, attemptId, tries, index));
}

/** From the append on, a store that can't be reached makes the outcome unknown: no answer may say that nothing happened. */
async function orUnknown<T>(work: Promise<T>): Promise<T | Refusal> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof StoreUnavailable || error instanceof OutcomeUnknown) return outcomeUnknown();
    throw error;
  }
}

/** The store never answered: what stands in the stream now is the truth, as far as it can be known. */
async function lookForReceipt(world: World, aggregates: Aggregates, attempt: Attempt, secret: MadeSecrets['reveal']): Promise<CommandAnswer | Refusal> {
  const loaded = await orUnknown(aggregates.load(attempt.stream, attempt.definition.fold(attempt.resourceId)));
  if (isRefusal(loaded)) return loaded;
  const receipt = loaded.receipts.get(attempt.commandId);
  if (receipt === undefined) return outcomeUnknown();
  const own = receipt.attemptId === attempt.attemptId;
  return own ? await settle(world, aggregates, attempt, loaded, receipt, 'first', secret) : await replay(world, aggregates, attempt, loaded, receipt);
}

/** What must be true before anything is acknowledged; then the answer. */
async function settle(world: World, aggregates: Aggregates, attempt: Attempt, loaded: Loaded<unknown>, receipt: StoredReceipt, how: 'first' | 'replay', secret: MadeSecrets['reveal']): Promise<CommandAnswer | Refusal> {
  const { request, commandId, resourceId, definition } = attempt;
  const { result, position, outcome, revision } = receipt;
  const context = { request, commandId, resourceId, world, aggregates, nowMs: world.clock.now(), overridesGate: false };
  const settling = definition.settle?.(context, loaded, { result, position });
  const refusal = settling === undefined ? undefined : await orUnknown(settling);
  if (refusal !== undefined) return refusal;
  return { commandId, commandType: request.commandType, resourceId, outcome, revision, position, replayed: how === 'replay', result, secret };
}

