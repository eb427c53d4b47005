import { expect, it } from '@jest/globals';
import { runDemo } from '../support/demo/demo.ts';
import { Home } from '../support/e2e/home.ts';
import { Witness } from '../support/e2e/witness.ts';

it('npm run demo goes through the whole tour and exits 0', async () => {
  const home = new Home();
  const lines: string[] = [];
  let witness: Witness | undefined;
  const before = async (serverUrl: string): Promise<string> => (witness = await Witness.before(() => serverUrl)).url;
  expect(await runDemo({ say: (line) => lines.push(line), environment: await home.environment(), before })).toBe(0);
  expect(lines.at(-1)).toBe('Everything was as it should be.');
  await witness?.end();
  await home.remove();
}, 60_000);
