import type { CommandAnswer } from '#command-pipeline';
import type { EventStore } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { isRefusal, type Refusal } from '#kernel';
import { Faults, faultyStore } from './faulty-store.ts';
import { approver, type Installation, installationOn, requester } from './installation.ts';
import { brokenPromises, type Ended, outOfStep } from './invariants.ts';
import { type Random, randomOf } from './random.ts';
import { approvals, askPayload, isRetried, openApproval, type Operation, operationsOf, requestOf, subscriptions, upsertPayload } from './scenario.ts';
import { Scheduler, SimulatedProcess } from './scheduler.ts';

const maxSteps = 20_000;
const maxSends = 8;
const maxCrashes = 4;
/** Housekeeping makes a schedule several times longer: one in so many has it. */
const housekeepingEvery = 4;
/** Timers of the last process: enough for every grace and retry it waits for. */
const housekeepingTurns = 200;

interface Running {
  readonly process: SimulatedProcess;
  readonly installation: Installation;
}

/** One schedule: what broke, in words (nothing: all promises held), and how often things went wrong in it. */
export interface Outcome {
  readonly seed: number;
  readonly broken: readonly string[];
  readonly crashes: number;
  readonly steps: number;
}

/**
 * Runs one schedule: a few clients want things of two processes over one log, while replies are lost, appends arrive late
 * and processes die at any await. Everything follows from the seed.
 */
export async function simulate(seed: number): Promise<Outcome> {
  const random = randomOf(seed);
  const log = new MemoryLog();
  const store = createMemoryEventStore(log);
  const scheduler = new Scheduler(random);
  const faults = new Faults();
  const setup = new SimulatedProcess('setup');
  await prepare(installationOn(store, scheduler.clockOf(setup), random, () => []));

  const keepsHouse = seed % housekeepingEvery === 0;
  const start = (name: string): Running => {
    const process = new SimulatedProcess(name);
    const installation = installationOn(faultyStore(store, process, scheduler, faults, random), scheduler.clockOf(process), random, () => [...approvals, openApproval].filter(() => random.chance(0.8)));
    if (keepsHouse) installation.startHousekeeping();
    return { process, installation };
  };
  const processes = [start('one'), start('two')];
  const ended: Ended[] = [];
  const operations = operationsOf(random);
  const clients = operations.map((operation) => client(operation, () => random.pick(processes), (approvalId) => void ended.push({ approvalId, head: String(log.head) })));

  faults.probability = random.pick([0, 0.05, 0.15, 0.3]);
  const crashProbability = random.pick([0, 0.005, 0.02]);
  const counts = await chaos(Promise.all(clients), { scheduler, random, faults, crashProbability, crash: (index) => {
    processes[index]?.process.kill();
    processes[index] = start('again');
  } });

  faults.probability = 0;
  while (faults.hasLate) await faults.arriveLate(random);
  // Every client asks once more: what was acknowledged is answered the same way for ever.
  const healthy = installationOn(store, scheduler.clockOf(setup), random, () => approvals);
  for (const operation of operations) if (operation.answers.some((answer) => !isRefusal(answer))) operation.answers.push(await healthy.pipeline.execute(operation.request));
  for (const { process } of processes) process.kill();
  const unkept = keepsHouse ? await settleHouse(healthy, scheduler, store) : [];
  return { seed, ...counts, broken: [...(await brokenPromises(store, healthy.vault, operations, ended)), ...unkept] };
}

/** A last process keeps house until nothing is left to do; what is still out of step then is a broken promise. */
async function settleHouse(healthy: Installation, scheduler: Scheduler, store: EventStore): Promise<readonly string[]> {
  const runner = healthy.startHousekeeping();
  for (let turns = 0; turns < housekeepingTurns; turns += 1) await scheduler.next();
  await runner.stop();
  return await outOfStep(store);
}

interface Chaos {
  readonly scheduler: Scheduler;
  readonly random: Random;
  readonly faults: Faults;
  readonly crashProbability: number;
  readonly crash: (index: number) => void;
}

async function chaos(clients: Promise<unknown>, { scheduler, random, faults, crashProbability, crash }: Chaos): Promise<{ crashes: number; steps: number }> {
  let done = false;
  void clients.then(() => (done = true));
  let [crashes, steps] = [0, 0];
  while (!done) {
    await scheduler.next();
    steps += 1;
    if (steps > maxSteps) throw new Error(`nobody came to an end after ${maxSteps} steps`);
    if (crashes < maxCrashes && random.chance(crashProbability)) {
      crash(random.below(2));
      crashes += 1;
    }
    if (random.chance(0.05)) await faults.arriveLate(random);
    if (random.chance(0.002)) scheduler.setClock(-600_000);
  }
  return { crashes, steps };
}

/** An honest client: repeats the same request while it does not know. */
async function client(operation: Operation, anyProcess: () => Running, ended: (approvalId: string) => void): Promise<void> {
  const { request, answers } = operation;
  for (let sends = 0; sends < maxSends; sends += 1) {
    const { process, installation } = anyProcess();
    const answer: CommandAnswer | Refusal | 'died' = await Promise.race([installation.pipeline.execute(request), process.died]);
    if (answer === 'died') continue;
    answers.push(answer);
    if (isRetried(answer)) continue;
    const approvalId = request.payload['approvalId'];
    if (!isRefusal(answer) && typeof approvalId === 'string') ended(approvalId);
    return;
  }
}

/** Two subscriptions, two approvals that were granted for rotating the first one's secret, one for the second's that is open. */
async function prepare({ pipeline }: Installation): Promise<void> {
  const must = async (request: Parameters<typeof pipeline.execute>[0]): Promise<CommandAnswer> => {
    const answer = await pipeline.execute(request);
    if (isRefusal(answer)) throw new Error(`setup: ${answer.detail}`);
    return answer;
  };
  for (const id of subscriptions) await must(requestOf('UpsertWebhookSubscription', `setup-${id}`, requester, upsertPayload(id)));
  for (const approvalId of approvals) {
    const { revision } = await must(requestOf('RequestApproval', `setup-${approvalId}`, requester, askPayload(subscriptions[0], { approvalId })));
    await must(requestOf('GrantApproval', `grant-${approvalId}`, approver, { approvalId }, { expectedRevision: revision }));
  }
  await must(requestOf('RequestApproval', 'setup-open', requester, askPayload(subscriptions[1], { approvalId: openApproval })));
}
