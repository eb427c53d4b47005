// `npm run conformance`: the driver by hand, for the runner of the suite that docs/conformance.md names.
import { parseArgs } from 'node:util';
import { startDriver } from './driver.ts';

const usage = 'usage: npm run conformance -- [--port <0 to 65535; 0, any free port, unless told>]';

function portOf(args: readonly string[]): number {
  const { port } = parseArgs({ args: [...args], options: { port: { type: 'string', default: '0' } } }).values;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new TypeError(`--port ${port}: must be a whole number from 0 to 65535`);
  return Number(port);
}

async function run(): Promise<void> {
  const driver = await startDriver({ port: portOf(process.argv.slice(2)) });
  console.log('A Countersign server of its own in a temporary folder, driven by a conformance suite. It asks nobody who they are,');
  console.log('listens on this machine only, and keeps nothing. Not for real data.');
  console.log(`Sender control: ${driver.url}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void driver.stop());
}

try {
  await run();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
