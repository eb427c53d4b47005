import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { kf, words } from '../../test/support/kf.ts';

const script = async (shell: string): Promise<string> => {
  const { code, out, err } = await kf(['completion', shell]);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  return out;
};

/** What real bash offers after the words, the last of which is being typed. */
function offered(bashScript: string, typed: readonly string[]): readonly string[] {
  const asked = `${bashScript}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _kf; printf '%s\\n' "\${COMPREPLY[@]}"`;
  return words(execFileSync('bash', ['--norc', '-c', asked, 'bash', ...typed], { encoding: 'utf8' }).replaceAll('\n', ' '));
}

const isThere = (shell: string): boolean => spawnSync(shell, ['-c', 'true']).error === undefined;

describe('kf completion bash', () => {
  it.each([
    ['a group', ['kf', 'webh'], ['webhook']],
    ['a verb', ['kf', 'webhook', 'rotate-'], ['rotate-secret', 'rotate-subscription-secret']],
    ['a verb below two groups', ['kf', 'approval', 'policy', ''], ['get', 'set']],
    ['a flag', ['kf', 'webhook', 'create', '--ev'], ['--events']],
    ['a flag after a value', ['kf', 'webhook', 'create', '--url', 'https://example.com', '--deliv'], ['--delivery-mode']],
    ['a flag of every verb', ['kf', 'webhook', 'list', '--prof'], ['--profile']],
    ['a flag where no verb can be', ['kf', 'whoami', '--vers'], ['--version']],
    ['a verb after a global flag and its value', ['kf', '--profile', 'webhook', 'approval', 'gr'], ['grant']],
    ['nothing for the value of a flag', ['kf', 'webhook', 'create', '--url', ''], []],
    ['no flag of another verb', ['kf', 'webhook', 'list', '--url'], []],
  ])('completes %s', async (_, typed, expected) => {
    expect(offered(await script('bash'), typed)).toEqual(expected);
  });

  it('knows every verb that help shows', async () => {
    const help = (await kf(['webhook', '--help'])).out;
    const verbs = [...help.slice(help.indexOf('Commands:')).matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name ?? '');
    expect(verbs).toContain('upsert-subscription');
    expect(offered(await script('bash'), ['kf', 'webhook', '']).toSorted()).toEqual(verbs.filter((name) => name !== 'help').toSorted());
  });

  it('is registered for kf', async () => {
    expect(execFileSync('bash', ['--norc', '-c', `${await script('bash')}\ncomplete -p kf`], { encoding: 'utf8' })).toContain('-F _kf kf');
  });
});

describe('kf completion', () => {
  it.each([
    ['zsh', 'compdef _kf kf'],
    ['fish', 'complete -c kf'],
  ])('prints a script for %s, which that shell, where it is, can read', async (shell, registered) => {
    const text = await script(shell);
    expect(text).toContain(registered);
    expect(text).toContain('rotate-secret');
    expect(text).toContain('delivery-mode');
    if (!isThere(shell)) return;
    const folder = mkdtempSync(join(tmpdir(), 'kf-completion-'));
    const file = join(folder, 'kf');
    writeFileSync(file, text);
    expect(spawnSync(shell, ['-n', file], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' });
    rmSync(folder, { recursive: true });
  });

  it.each(['zsh', 'fish'])('quotes the descriptions for %s', async (shell) => {
    // Every quotation mark that opens is closed: none is left when all quoted parts are taken away.
    const text = (await script(shell)).replaceAll(/^#.*$/gm, '').replaceAll("'\\''", '').replaceAll("\\'", '');
    expect(text.replaceAll(/'[^']*'/g, '').replaceAll(/"[^"]*"/g, '')).not.toContain("'");
  });

  it('of another shell is exit code 2', async () => {
    expect((await kf(['completion', 'tcsh'])).code).toBe(2);
    expect((await kf(['completion'])).code).toBe(2);
  });
});
