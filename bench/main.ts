import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGenerator } from './generator.ts';
import { machineFacts } from './machine.ts';
import { type Options, readOptions } from './options.ts';
import { startReceiver } from './receiver.ts';
import { markdownOf, type Section, tableOf } from './report.ts';
import type { Run } from './run.ts';
import { scenarios } from './scenarios.ts';

const note = (line: string): void => void process.stderr.write(`${line}\n`);
const names = scenarios.map(({ name }) => name);

async function sectionsOf(options: Options, run: Run): Promise<readonly Section[]> {
  const sections: Section[] = [];
  for (const scenario of scenarios.filter(({ name }) => options.names.includes(name))) {
    const { name, about } = scenario;
    note(`${name}: ${about} …`);
    const startMs = performance.now();
    sections.push({ scenario: name, figures: await scenario.figures(run) });
    note(`${' '.repeat(name.length)}  ${Math.round((performance.now() - startMs) / 1_000)} s`);
  }
  return sections;
}

function optionsOrUsage(): Options {
  try {
    return readOptions(process.argv.slice(2), names);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    note(`${error.message}\nUsage: npm run bench -- [--only ${names.join('|')}]… [--smoke] [--markdown] [--profile <folder>]`);
    process.exit(2);
  }
}

const howToRead = ({ isShort }: Options): readonly string[] => [
  'Medians of so many runs, taken by turns with their ceiling. CPU is that of all threads of the measured process; a commit is one transaction of the log and one fsync.',
  'Only what is beside something else travels to other machines. docs/benchmarks.md says what each line is.',
  ...(isShort ? ['This was a short run: the code was not yet compiled and the caches were empty, so its figures say only that everything works.'] : []),
];

function print(options: Options, facts: readonly string[], sections: readonly Section[]): void {
  const { isMarkdown } = options;
  const lines = isMarkdown ? [...facts.map((fact) => `- ${fact}`), '', markdownOf(sections)] : [...facts, tableOf(sections), ...howToRead(options)];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const options = optionsOrUsage();
const folder = await mkdtemp(join(tmpdir(), 'countersign-bench-'));
// What is in there may be large.
process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
const [generator, receiver] = await Promise.all([startGenerator(), startReceiver()]);
try {
  const { isShort, profileDir } = options;
  const facts = machineFacts(folder);
  print(options, facts, await sectionsOf(options, { folder, isShort, profileDir, generator, receiver }));
} finally {
  await generator.end();
  await receiver.end();
}
