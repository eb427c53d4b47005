import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Figure } from './figure.ts';
import { machineFacts } from './machine.ts';
import { type Options, readOptions, scenarioNames } from './options.ts';
import { tableOf } from './report.ts';
import { commandFigures } from './scenarios/commands.ts';
import { deliver } from './scenarios/deliveries.ts';
import { rebuildFigures } from './scenarios/rebuild.ts';
import type { Run } from './server.ts';

const note = (line: string): void => void process.stderr.write(`${line}\n`);

async function figuresOf(run: Run, { names, size }: Options): Promise<readonly Figure[]> {
  const figures: Figure[] = [];
  if (names.includes('commands')) {
    note('Commands …');
    figures.push(...(await commandFigures(run, size)));
  }
  if (names.includes('deliveries') || names.includes('rebuild')) {
    note('Deliveries …');
    const delivered = await deliver(run, size);
    if (names.includes('deliveries')) figures.push(...delivered.figures);
    if (names.includes('rebuild')) {
      note('Rebuild, of the log that the deliveries left …');
      figures.push(...(await rebuildFigures(delivered.dataDir)));
    }
  }
  return figures;
}

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    note(`${error.message}\nUsage: npm run bench -- [--only ${scenarioNames.join('|')}]… [--smoke] [--profile <folder>]`);
    process.exit(2);
  }
}

const howToRead = ({ isShort }: Options): string =>
  [
    'CPU is that of all threads of the measured process; a commit is one transaction of the log and one fsync. Only the shares, taken back to back, travel to other machines.',
    ...(isShort ? ['This was a short run: the code was not yet compiled and the caches were empty, so its figures say only that everything works.'] : []),
  ].join('\n');

const options = optionsOrUsage();
const folder = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
try {
  const facts = machineFacts(folder);
  const figures = await figuresOf({ folder, profileDir: options.profileDir }, options);
  process.stdout.write(`${facts.join('\n')}\n${tableOf(figures)}\n${howToRead(options)}\n`);
} finally {
  await rm(folder, { recursive: true });
}
