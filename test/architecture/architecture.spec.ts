import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

interface Dependency {
  readonly resolved: string;
  readonly dependencyTypes: readonly string[];
}

interface Cruise {
  readonly summary: { readonly violations: readonly { readonly from: string; readonly to: string; readonly rule: { readonly name: string } }[] };
  readonly modules: readonly { readonly source: string; readonly dependencies: readonly Dependency[] }[];
}

interface Linted {
  readonly filePath: string;
  readonly messages: readonly { readonly ruleId: string | null; readonly message: string }[];
}

const root = realpathSync(join(import.meta.dirname, '..', '..'));
const planted = join(import.meta.dirname, 'planted');
const patience = 120_000;

/** Runs a tool from a folder and reads the JSON it prints; it exits with the number of things found, which is no failure. */
const json = (cwd: string, tool: string, args: readonly string[]): Promise<unknown> =>
  new Promise((resolve, reject) => {
    execFile(process.execPath, [join(root, 'node_modules', tool), ...args], { cwd, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout));
      } catch {
        reject(new Error(`${tool} printed no JSON: ${stderr || (error?.message ?? '')}`));
      }
    });
  });

const cruise = (cwd: string, folders: readonly string[]): Promise<Cruise> =>
  json(cwd, 'dependency-cruiser/bin/dependency-cruise.mjs', ['--config', '.dependency-cruiser.cjs', '--output-type', 'json', ...folders]) as Promise<Cruise>;

const lint = (cwd: string): Promise<readonly Linted[]> => json(cwd, 'eslint/bin/eslint.js', ['--format', 'json', 'libs', 'apps']) as Promise<readonly Linted[]>;

/** `file: rule` for what a file's first line says it violates. */
const promised = (): string[] =>
  readdirSync(planted, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .flatMap((path) => (/^\/\/ violates: (.*)/.exec(readFileSync(join(planted, path), 'utf8'))?.[1] ?? '').split(', ').filter(Boolean).map((rule) => `${path}: ${rule}`));

const isDependencyRule = (rules: ReadonlySet<string>) => (entry: string): boolean => rules.has(entry.slice(entry.indexOf(': ') + 2));

describe('the direction of dependencies', () => {
  let found: Cruise;
  beforeAll(async () => {
    found = await cruise(root, ['apps', 'libs', 'test', 'bench'].filter((folder) => existsSync(join(root, folder))));
  }, patience);

  it('holds in the whole tree', () => {
    expect(found.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`)).toEqual([]);
  });

  it('was looked at through type-only imports and through package subpaths too', () => {
    const edges = found.modules.flatMap(({ source, dependencies }) => dependencies.map(({ resolved, dependencyTypes }) => ({ edge: `${source} -> ${resolved}`, dependencyTypes })));
    expect(edges).toContainEqual({ edge: 'libs/kernel/decider.ts -> libs/kernel/events.ts', dependencyTypes: expect.arrayContaining(['type-only']) });
    expect(edges).toContainEqual({ edge: 'libs/secret-vault/vault.ts -> libs/kernel/index.ts', dependencyTypes: expect.any(Array) });
  });
});

describe('a planted violation', () => {
  let tree: string;
  let crossed: readonly string[];
  let linted: readonly string[];

  beforeAll(async () => {
    tree = realpathSync(mkdtempSync(join(tmpdir(), 'planted-')));
    cpSync(planted, tree, { recursive: true });
    for (const file of ['package.json', 'tsconfig.json', 'eslint.config.mjs', '.dependency-cruiser.cjs']) cpSync(join(root, file), join(tree, file));
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'), 'junction');
    const [dependencies, files] = await Promise.all([cruise(tree, ['apps', 'libs', 'test']), lint(tree)]);
    crossed = [...new Set(dependencies.summary.violations.map(({ from, rule }) => `${from}: ${rule.name}`))];
    linted = [
      ...new Set(files.flatMap(({ filePath, messages }) => messages.map(({ ruleId, message }) => `${relative(tree, filePath).replaceAll('\\', '/')}: ${ruleId ?? (/^Unused eslint-disable/.test(message) ? 'unused-directive' : message)}`))),
    ];
  }, patience);

  afterAll(() => rmSync(tree, { recursive: true, force: true }));

  const { forbidden } = createRequire(import.meta.url)('../../.dependency-cruiser.cjs') as { forbidden: readonly { name: string }[] };
  const dependencyRules = new Set(forbidden.map(({ name }) => name));

  it.each([...dependencyRules])('is there for the rule %s', (rule) => {
    expect(promised().filter(isDependencyRule(new Set([rule])))).not.toEqual([]);
  });

  it('of a dependency rule is found, each one and nothing else', () => {
    expect([...crossed].sort()).toEqual(promised().filter(isDependencyRule(dependencyRules)).sort());
  });

  it('of a rule of style is found, each one and nothing else', () => {
    expect([...linted].sort()).toEqual(promised().filter((entry) => !isDependencyRule(dependencyRules)(entry)).sort());
  });
});
