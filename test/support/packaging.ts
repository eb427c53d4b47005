import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DockerfileParser } from 'dockerfile-ast';
import { parse } from 'yaml';

export const checkoutRoot = fileURLToPath(new URL('../../', import.meta.url));

/** The text of a file of the checkout. */
export const fileText = (name: string): string => readFileSync(join(checkoutRoot, name), 'utf8');

const { version, devDependencies } = JSON.parse(fileText('package.json')) as { readonly version: string; readonly devDependencies: { readonly node: string } };
/** Ours, and that of the runtime. */
export const packageFacts = { version, nodeVersion: devDependencies.node };

/** Names of variables that hold secrets. */
export const secretive = /KEY|SECRET|PASSWORD|TOKEN|CREDENTIAL/i;

/** A problem, unless something holds. */
export const unless = (holds: boolean, problem: string): readonly string[] => (holds ? [] : [problem]);

/** The text with one thing in it changed, which must be there. */
export function changed(text: string, from: string, to: string): string {
  if (!text.includes(from)) throw new Error(`there is no ${from}`);
  return text.replace(from, to);
}

/** One instruction of a Dockerfile. */
export interface Step {
  readonly keyword: string;
  readonly args: readonly string[];
  readonly flags: Readonly<Record<string, string>>;
  /** What a `CMD`, `ENTRYPOINT` or `HEALTHCHECK` runs without a shell; null where it needs one. */
  readonly exec: readonly string[] | null;
  /** What an `ENV`, `ARG` or `LABEL` sets. */
  readonly sets: Readonly<Record<string, string>>;
}

export interface Stage {
  readonly from: string;
  readonly name: string;
  readonly steps: readonly Step[];
}

type Parsed = ReturnType<ReturnType<typeof DockerfileParser.parse>['getInstructions']>[number];
interface Flagged {
  getFlags(): readonly { getName(): string; getValue(): string | null }[];
}
interface Setting {
  getProperties(): readonly { getName(): string; getValue(): string | null }[];
}

function stepOf(parsed: Parsed): Step {
  const content = (parsed.getArgumentsContent() ?? '').replace(/\\\n\s*/g, '').replace(/^(--\S+\s+)*(CMD\s+(?=\[))?/, '');
  const flags = 'getFlags' in parsed ? (parsed as unknown as Flagged).getFlags() : [];
  const sets = 'getProperties' in parsed ? (parsed as unknown as Setting).getProperties() : [];
  return {
    keyword: parsed.getKeyword(),
    args: parsed.getArguments().map((argument) => argument.getValue()),
    flags: Object.fromEntries(flags.map((flag) => [flag.getName(), flag.getValue() ?? ''])),
    exec: content.startsWith('[') ? (JSON.parse(content) as string[]) : null,
    sets: Object.fromEntries(sets.map((property) => [property.getName(), property.getValue() ?? ''])),
  };
}

/** The stages of a Dockerfile, in their order; one without a name is called by its number. */
export function stagesOf(dockerfile: string): readonly Stage[] {
  const stages: { from: string; name: string; steps: Step[] }[] = [];
  for (const step of DockerfileParser.parse(dockerfile).getInstructions().map(stepOf)) {
    if (step.keyword === 'FROM') stages.push({ from: step.args[0] ?? '', name: step.args[2] ?? String(stages.length), steps: [] });
    else stages.at(-1)?.steps.push(step);
  }
  return stages;
}

/** The last instruction of a kind, which is the one that counts. */
export const lastOf = (stage: Stage | undefined, keyword: string): Step | undefined => stage?.steps.findLast((step) => step.keyword === keyword);

/** Whether a `.dockerignore` keeps a path out of a build: the last line that matches it, or a folder it is in, says so. */
export function isIgnored(dockerignore: string, path: string): boolean {
  const lines = dockerignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const parts = path.split('/');
  const prefixes = parts.map((_, index) => parts.slice(0, index + 1).join('/'));
  return lines.reduce((ignored, line) => (prefixes.some((prefix) => patternOf(line.replace(/^!/, '')).test(prefix)) ? !line.startsWith('!') : ignored), false);
}

/** Unlike in a shell, `*` is also for names that begin with a dot. */
const patternOf = (line: string): RegExp => new RegExp(`^${line.replace(/[.+^$()[\]{}|\\]/g, '\\$&').replaceAll('**/', '(.+/)?').replace(/(?<!\))\*/g, '[^/]*')}$`);

export interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly read_only?: boolean;
  readonly privileged?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: object;
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, unknown>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** A compose file with its merges done; what it takes from the environment still stands in it as `${…}`. */
export const composeOf = (text: string): Compose => parse(text, { merge: true }) as Compose;

/** The file with variables put in as compose does. Throws what compose says when a required one is missing. */
export const interpolated = (file: Compose, variables: Readonly<Record<string, string>>): Compose =>
  JSON.parse(JSON.stringify(file), (_key, value: unknown) => (typeof value === 'string' ? interpolatedText(value, variables) : value)) as Compose;

const interpolatedText = (text: string, variables: Readonly<Record<string, string>>): string =>
  text.replace(/\$\{(\w+)(?::([?-])([^}]*))?\}/g, (_whole, name: string, operator: string | undefined, operand: string | undefined) => {
    const value = variables[name] ?? '';
    if (value !== '') return value;
    if (operator === '?') throw new Error(`required variable ${name} is missing a value: ${operand ?? ''}`);
    return operand ?? '';
  });

/** Whether a path of the checkout is there. */
export const isThere = (path: string): boolean => existsSync(join(checkoutRoot, path));
