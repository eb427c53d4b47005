// node --conditions=source test/simulation/run.ts [--schedules 10000] [--seed 1] [--all]
// Runs seeds from --seed on; prints each seed that breaks a promise, and exits 1 at the first unless --all is given.
import { parseArgs } from 'node:util';
import { simulate } from './simulate.ts';

const { values } = parseArgs({ options: { schedules: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' }, all: { type: 'boolean', default: false } } });
const [schedules, first] = [Number(values.schedules), Number(values.seed)];
let [broken, crashes, steps] = [0, 0, 0];
for (let seed = first; seed < first + schedules; seed += 1) {
  const outcome = await simulate(seed);
  crashes += outcome.crashes;
  steps += outcome.steps;
  if (outcome.broken.length === 0) continue;
  broken += 1;
  console.log(`seed ${seed}: ${outcome.broken.join('; ')}`);
  if (!values.all) break;
}
console.log(`${schedules} schedules from seed ${first}: ${steps} steps, ${crashes} crashes, ${broken} broken`);
process.exitCode = broken > 0 ? 1 : 0;
