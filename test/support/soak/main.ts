// node --conditions=source test/support/soak/main.ts: several servers under faults, until all events are delivered; see scripts/soak.mjs.
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { randomOf } from '../../simulation/random.ts';
import { type SoakPlan, stormOf, subscriptionsOf } from './plan.ts';
import { SoakScenario } from './scenario.ts';
import { faultsInWords, verdictOn } from './verdict.ts';

const usage = `usage: npm run soak -- [--minutes 8] [--events 20000] [--subscriptions 50] [--servers 3] [--outage-seconds 60] [--without-redis] [--seed <number>]`;
const mostShown = 20;

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < least || number > most) throw new TypeError(`--${name} ${text}: must be a whole number from ${least} to ${most}`);
  return number;
}

function planOf(args: readonly string[]): SoakPlan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '8' },
      events: { type: 'string', default: '20000' },
      subscriptions: { type: 'string', default: '50' },
      servers: { type: 'string', default: '3' },
      'outage-seconds': { type: 'string', default: '60' },
      'without-redis': { type: 'boolean', default: false },
      seed: { type: 'string', default: String(randomInt(2 ** 31)) },
    },
  });
  const seed = wholeNumber('seed', values.seed, 0, 2 ** 32 - 1);
  const loadMs = wholeNumber('minutes', values.minutes, 2, 24 * 60) * 60_000;
  const servers = wholeNumber('servers', values.servers, 1, 10);
  const outageMs = wholeNumber('outage-seconds', values['outage-seconds'], 1, 600) * 1_000;
  return {
    seed,
    servers,
    redis: !values['without-redis'],
    subscriptions: subscriptionsOf(wholeNumber('subscriptions', values.subscriptions, 2, 1_000)),
    events: wholeNumber('events', values.events, 1, 10_000_000),
    loadMs,
    faults: stormOf(randomOf(seed), { durationMs: loadMs, servers, outageMs }),
    settleWithinMs: 120_000,
  };
}

async function run(plan: SoakPlan): Promise<void> {
  console.log(`seed ${plan.seed}: ${plan.events} events to ${plan.subscriptions.length} subscriptions over ${plan.loadMs / 60_000} minutes, ${plan.servers} servers, ${plan.faults.length} faults`);
  for (const line of faultsInWords(plan)) console.log(`  ${line}`);
  const fromMs = performance.now();
  const said = (line: string): void => console.log(`${((performance.now() - fromMs) / 1_000).toFixed(1).padStart(7)} s  ${line}`);
  const { counts, promises } = verdictOn(plan, await new SoakScenario(plan, said).run());
  console.log('\ncounted');
  for (const [name, count] of counts) console.log(`  ${name}: ${count}`);
  console.log('\npromised');
  for (const [promise, broken] of promises) for (const line of inLines(promise, broken)) console.log(line);
  const brokenOnes = [...promises.values()].filter((broken) => broken.length > 0).length;
  console.log(`\nseed ${plan.seed}: ${brokenOnes === 0 ? 'every promise was kept' : `${brokenOnes} promises were broken`}`);
  process.exitCode = brokenOnes > 0 ? 1 : 0;
}

function inLines(promise: string, broken: readonly string[]): readonly string[] {
  const more = broken.length > mostShown ? [`            and ${broken.length - mostShown} more`] : [];
  return [`  ${broken.length === 0 ? 'kept  ' : 'BROKEN'}  ${promise}`, ...broken.slice(0, mostShown).map((sentence) => `            ${sentence}`), ...more];
}

let plan: SoakPlan | undefined;
try {
  plan = planOf(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
if (plan !== undefined) await run(plan);
