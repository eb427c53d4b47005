// `npm run dev:eventstoredb`: the test server by hand, to try the EventStoreDB adapter without the real one.
import { parseArgs } from 'node:util';
import { startEventStoreDb } from './server.ts';

const usage = 'usage: npm run dev:eventstoredb -- [--port <0 to 65535; 2113 unless told, 0 takes any free port>]';

function portOf(args: readonly string[]): number {
  const { port } = parseArgs({ args: [...args], options: { port: { type: 'string', default: '2113' } } }).values;
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) throw new TypeError(`--port ${port}: must be a whole number from 0 to 65535`);
  return Number(port);
}

async function run(): Promise<void> {
  const server = await startEventStoreDb({ port: portOf(process.argv.slice(2)) });
  console.log('This is a test server that speaks the protocol of EventStoreDB. It keeps everything in memory and nothing');
  console.log('after it ends, asks nobody who they are, encrypts nothing, and listens on this machine only. Not for real data.');
  console.log(`Connection string: ${server.url}`);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void server.stop());
}

try {
  await run();
} catch (error) {
  console.error(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  process.exitCode = 2;
}
