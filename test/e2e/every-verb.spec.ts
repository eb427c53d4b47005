import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bash, blocks, checkout, end, exitOf, freePorts, type Shell, startWithinMs, textOf, tourServer } from '../support/e2e/checkout.ts';
import { readTranscript, scriptOf, shapeOf, shownBy, type Typed } from '../support/e2e/transcript.ts';
import { engine, Home } from '../support/e2e/home.ts';
import { Witness } from '../support/e2e/witness.ts';
import { leafVerbs } from '../support/kf.ts';

/** Several times what they take alone: other tests run beside them. */
const typedWithinMs = 180_000;

/** A log that is not in the folder is not copied by `kf`. */
const isTyped = ({ command }: Typed): boolean => engine === 'sqlite' || !/^root backup |kf log copy /.test(command);

const recorded = [
  { title: "the README's tour for operators and auditors", typed: blocks('console').flatMap(readTranscript) },
  { title: 'the verbs that no tour of the README types', typed: readTranscript(textOf('test/e2e/transcripts/other-verbs.console')) },
];

describe.each(recorded)('$title, typed again', ({ typed: all }) => {
  const typed = all.filter(isTyped);
  let folder: string;
  let home: Home;
  let server: Shell | undefined;
  let witness: Witness | undefined;
  let exitCode: number | null;
  let said: string;
  let seen: readonly Typed[];

  beforeAll(async () => {
    folder = checkout();
    home = new Home(join(folder, 'data'));
    const [port = '', receiverPort = ''] = await freePorts(2);
    const own = (text: string): string => text.replaceAll(':3001', `:${receiverPort}`).replaceAll('PORT=3001', `PORT=${receiverPort}`);
    server = await tourServer(folder, port, await home.environment());
    witness = await Witness.before(() => `http://127.0.0.1:${port}`);
    // The receiver is the one that the first tour writes.
    await exitOf(bash(blocks('sh tour').find((block) => block.startsWith('cat > data/receiver.mjs')) ?? '', folder, {}), startWithinMs);
    const commands = typed.map(({ command }) => own(command));
    const shell = bash(scriptOf(commands), folder, { KF_SERVER: witness.url, TZ: 'UTC' });
    exitCode = await exitOf(shell, typedWithinMs);
    said = shell.said();
    seen = shownBy(commands, said);
  }, startWithinMs * 2 + typedWithinMs);

  afterAll(async () => {
    await end(server);
    await home.remove();
    await rm(folder, { recursive: true });
    await witness?.end();
  }, 40_000);

  it('ends well', () => expect({ exitCode, said: exitCode === 0 ? '' : said }).toEqual({ exitCode: 0, said: '' }));

  it.each(typed.map(({ command }, index) => ({ command, index })))('shows what was recorded: $command', ({ index }) => {
    const shapes = (shown: readonly string[] = []): readonly string[] => shown.map((line) => shapeOf(line));
    expect(shapes(seen[index]?.shown)).toEqual(shapes(typed[index]?.shown));
  });
});

it('types every verb of kf, here or in the first tour of the README', async () => {
  const lines = [...recorded.flatMap(({ typed }) => typed.map(({ command }) => command)), ...blocks('sh tour')].join('\n').replaceAll(/\broot (?=[a-z])/g, 'kf ');
  expect((await leafVerbs()).filter((verb) => !lines.includes(`kf ${verb}`))).toEqual([]);
});
