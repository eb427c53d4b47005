import { isRefusal, type JsonObject, type Refusal } from '#kernel';
import type { Aggregates } from './aggregate.ts';
import { begin, recall, unread } from './attempt.ts';
import type { AnyCommandDefinition } from './definition.ts';
import { completed, decide, passGates, type Plan, precondition } from './plan.ts';
import type { CommandRequest, DryRunAnswer } from './port.ts';
import type { World } from './world.ts';

/** What the command would do now, and everything that stands against it: the pipeline's steps up to the first write, and none further. */
export async function dryRun(wholeWorld: World, aggregates: Aggregates, definition: AnyCommandDefinition, request: CommandRequest, commandId: string): Promise<DryRunAnswer> {
  const world = lookingOnly(wholeWorld);
  const { commandType } = request;
  const received = await begin(world, aggregates, definition, request, commandId, await recall(world, request, commandId, unread(world)));
  if (isRefusal(received)) return { commandId, commandType, resourceId: '', outcome: 'REFUSED', events: [], unmet: [received] };
  const { resourceId } = received;
  const loaded = await aggregates.load(received.stream, definition.fold(resourceId));
  const answer = { commandId, commandType, resourceId };
  if (loaded.receipts.has(commandId)) return { ...answer, outcome: 'NO_CHANGE', events: [], unmet: [] };
  const attempt = completed(received, loaded);
  if (isRefusal(attempt)) return { ...answer, outcome: 'REFUSED', events: [], unmet: [attempt] };
  const nowMs = world.clock.now();
  const gate = await passGates(world, aggregates, attempt, loaded, nowMs);
  const plan = await decide(world, aggregates, attempt, loaded, { tries: 0, nowMs, gate: isRefusal(gate) ? { consumptions: [], overridden: false } : gate });
  const unmet = [precondition(attempt, loaded), gate, plan].filter((one): one is Refusal => one !== undefined && isRefusal(one));
  return { ...answer, ...outcomeOf(plan, unmet), unmet };
}

/** Even a key to take fingerprints with is not made: where a site has none, nothing has a fingerprint there. */
const lookingOnly = (world: World): World => ({
  ...world,
  vault: {
    open: (place, name) => world.vault.open(place, name),
    fingerprint: async (site, input) => (await world.vault.knownFingerprint(site, input)) ?? 'none',
    knownFingerprint: (site, input) => world.vault.knownFingerprint(site, input),
    store: neverInADryRun,
    shred: neverInADryRun,
  },
});

const neverInADryRun = (): Promise<never> => Promise.reject(new TypeError('a dry run writes nothing'));

function outcomeOf(plan: Plan | Refusal, unmet: readonly Refusal[]): Pick<DryRunAnswer, 'outcome' | 'events'> {
  const facts = isRefusal(plan) ? [] : plan.facts;
  const events = facts.map(({ type, data }) => ({ type, data: data as JsonObject }));
  if (unmet.length > 0) return { outcome: 'REFUSED', events };
  return { outcome: events.length > 0 ? 'APPLIED' : 'NO_CHANGE', events };
}
