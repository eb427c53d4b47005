// A process of its own around an event store, for tests that kill it: `node event-store-process.ts <data dir> <hold|write|copy>`.
// Says on stdout, one line each: `open`, and after every acknowledged append `<stream> <revision>`; or what came of a copy, and `appended`.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { openSqliteEventStore } from '#event-store/sqlite';

const lanes = 8;
const [dataDir = '', task = 'hold'] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

const store = await openSqliteEventStore({ dataDir });
say('open');

async function write(stream: string): Promise<never> {
  for (let revision = 0; ; revision += 1) {
    const event = { id: randomUUID(), type: 'Written', data: JSON.stringify({ stream, revision, filling: 'x'.repeat(300) }), metadata: {} };
    await store.append(stream, revision === 0 ? 'NO_STREAM' : revision - 1, [event]);
    say(`${stream} ${revision}`);
  }
}

if (task === 'write') await Promise.all(Array.from({ length: lanes }, (_, lane) => write(`lane-${lane}`)));

if (task === 'copy') {
  const said = await store.copyTo(join(dataDir, 'copy.db'), new AbortController().signal, () => undefined).then(
    ({ position }) => `copied ${position}`,
    (error: unknown) => `refused: ${String(error)}`,
  );
  say(said);
  await store.append('after-copy', 'NO_STREAM', [{ id: randomUUID(), type: 'Written', data: '{}', metadata: {} }]);
  say('appended');
  await store.close();
}
