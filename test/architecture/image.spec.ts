import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { validate } from 'dockerfile-utils';
import { changed, fileText, isIgnored, isThere, lastOf, packageFacts, secretive, type Stage, stagesOf, unless } from '../support/packaging.ts';

const dockerfile = fileText('Dockerfile');
const dockerignore = fileText('.dockerignore');
const { version, nodeVersion } = packageFacts;
const entrypoint = ['node', ...(JSON.parse(fileText('apps/server/node-arguments.json')) as readonly string[]), 'dist/apps/server/main.js'];
/** Of the runtime that everything is tested on. */
const base = new RegExp(`^node:${nodeVersion.replaceAll('.', '\\.')}-[a-z]+-slim$`);

/** What of a Dockerfile is not as it should be, in words. */
function problemsOfImage(text: string, ignoring: string): readonly string[] {
  const stages = stagesOf(text);
  const names = stages.map(({ name }) => name);
  const steps = stages.flatMap((stage) => stage.steps);
  return [
    ...validate(text).map(({ message, range }) => `line ${range.start.line + 1}: ${JSON.stringify(message)}`),
    ...stages.flatMap(({ from }) => unless(names.includes(from) || base.test(from), `${from} is not the slim image of the pinned Node`)),
    ...steps.flatMap(({ keyword }) => unless(keyword !== 'ADD', 'ADD takes more than files of the checkout')),
    ...steps.flatMap(({ keyword, sets }) => (keyword === 'LABEL' ? [] : Object.keys(sets).filter((name) => secretive.test(name)).map((name) => `${name} would be kept in the image`))),
    ...steps.filter(({ keyword }) => keyword === 'COPY').flatMap(({ flags, args }) => (flags['from'] === undefined ? problemsOfSources(args.slice(0, -1), ignoring) : unless(names.includes(flags['from']), `no stage is called ${flags['from']}`))),
    ...problemsOfLastStage(stages.at(-1)),
  ];
}

const problemsOfSources = (sources: readonly string[], ignoring: string): readonly string[] =>
  sources.flatMap((path) => [...unless(isThere(path), `${path} is not there`), ...unless(!isIgnored(ignoring, path), `${path} does not reach the build`)]);

function problemsOfLastStage(stage: Stage | undefined): readonly string[] {
  const user = lastOf(stage, 'USER')?.args[0] ?? 'root';
  return [
    ...unless(/^[1-9]\d*:[1-9]\d*$/.test(user), `it runs as ${user}, not as numbers that are not root's`),
    ...['ENTRYPOINT', 'HEALTHCHECK'].flatMap((keyword) => unless((lastOf(stage, keyword)?.exec ?? null) !== null, `${keyword} needs a shell, or is not there`)),
    ...unless(isDeepStrictEqual(lastOf(stage, 'ENTRYPOINT')?.exec, entrypoint), 'it does not start the server as npm start does'),
    ...unless(lastOf(stage, 'STOPSIGNAL')?.args[0] === 'SIGTERM', 'it is not stopped by SIGTERM'),
    ...unless(lastOf(stage, 'LABEL')?.sets['org.opencontainers.image.version'] === version, 'its label says another version than package.json'),
    ...unless(lastOf(stage, 'ENV')?.sets['NODE_ENV'] === 'production', 'it does not run as production'),
  ];
}

describe('the image', () => {
  it('is described as it should be', () => {
    expect(problemsOfImage(dockerfile, dockerignore)).toEqual([]);
  });

  it.each([
    ['COPY apps ./apps', 'COPPY apps ./apps', /Unknown instruction/],
    ['--interval=15s', '--interva=15s', /Unknown flag/],
    ['FROM node:24.21.0-bookworm-slim AS sources', 'FROM node:latest AS sources', /not the slim image of the pinned Node/],
    ['COPY apps ./apps', 'ADD https://example.com/apps.tar ./apps', /ADD takes more/],
    ['NODE_ENV=production', 'NODE_ENV=production KF_ROOT_KEY=x', /KF_ROOT_KEY would be kept/],
    ['COPY apps ./apps', 'COPY app ./apps', /app is not there/],
    ['COPY apps ./apps', 'COPY test ./apps', /test does not reach the build/],
    ['--from=build', '--from=built', /no stage is called built/],
    ['USER 1000:1000', 'USER node', /runs as node/],
    ['USER 1000:1000\n', '', /runs as root/],
    ['ENTRYPOINT ["node", ', 'ENTRYPOINT node ', /ENTRYPOINT needs a shell/],
    ['"--max-semi-space-size=32", ', '', /does not start the server as npm start does/],
    ['  CMD ["node", "-e",', '  CMD node -e', /HEALTHCHECK needs a shell/],
    ['STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGKILL', /not stopped by SIGTERM/],
    [`image.version="${version}"`, 'image.version="9.9.9"', /another version/],
    ['NODE_ENV=production', 'NODE_ENV=development', /does not run as production/],
  ])('would not be with %j as %j', (from, to, problem) => {
    expect(problemsOfImage(changed(dockerfile, from, to), dockerignore)).toContainEqual(expect.stringMatching(problem));
  });

  it('takes nothing from a checkout but what is named', () => {
    const kept = ['data/master.key', 'data/events.db', '.env', '.git/config', 'node_modules/x/index.js', 'dist/apps/server/main.js', 'test/support/kf.ts', 'docker-compose.yml', 'apps/server/system.spec.ts', 'libs/kernel/ids.spec.ts', '.npmrc.bak'];
    expect(kept.filter((path) => !isIgnored(dockerignore, path))).toEqual([]);
    expect(['apps/server/main.ts', 'libs/coordination/redis/lease-step.lua', 'docker/kf'].filter((path) => isIgnored(dockerignore, path))).toEqual([]);
  });
});
