import { startProgram } from '../test/support/program.ts';

/** Events or subscriptions that nothing matches, from one number up to another. */
export interface Filling {
  readonly what: 'events' | 'subscriptions';
  readonly from: number;
  readonly to: number;
  readonly tenant: string;
}

/** Writes straight into the log of a folder on which no server runs, in a process of its own. */
export async function fill(dataDir: string, filling: Filling): Promise<void> {
  const program = startProgram(new URL('./processes/fill.ts', import.meta.url), [dataDir]);
  const said = (key: string): Promise<object> => program.message((message: object): message is object => key in message);
  try {
    await said('ready');
    const filled = said('filled');
    program.send(filling);
    await filled;
  } finally {
    await program.end();
  }
}
