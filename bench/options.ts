import { parseArgs } from 'node:util';
import { didYouMean } from '#kernel';

export const scenarioNames = ['commands', 'deliveries', 'rebuild'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** How much is done: bounded in number, and in time. */
export interface Size {
  readonly subscriptions: number;
  readonly commands: number;
  readonly rotations: number;
  readonly publications: number;
  /** Batches of 100 events, each event to ten subscriptions. */
  readonly batches: number;
  readonly ceilingRequests: number;
  readonly maxMsEach: number;
}

const full: Size = { subscriptions: 1_000, commands: 16_000, rotations: 1_000, publications: 10_000, batches: 40, ceilingRequests: 30_000, maxMsEach: 20_000 };
const smoke: Size = { subscriptions: 50, commands: 200, rotations: 20, publications: 200, batches: 2, ceilingRequests: 500, maxMsEach: 3_000 };

export interface Options {
  readonly names: readonly ScenarioName[];
  readonly size: Size;
  readonly isShort: boolean;
  /** Where the servers under test leave CPU profiles when they end; null: they make none. */
  readonly profileDir: string | null;
}

/** What the command line asks for. Throws with what is wrong with it. */
export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({ args: [...args], options: { only: { type: 'string', multiple: true }, smoke: { type: 'boolean' }, profile: { type: 'string' } } });
  const names = values.only?.map(scenario) ?? scenarioNames;
  const isShort = values.smoke === true;
  return { names, size: isShort ? smoke : full, isShort, profileDir: values.profile ?? null };
}

function scenario(text: string): ScenarioName {
  const name = scenarioNames.find((known) => known === text);
  if (name === undefined) throw new TypeError(`--only takes ${scenarioNames.join(', ')}; "${text}" is none of them.${didYouMean(text, scenarioNames)}`);
  return name;
}
