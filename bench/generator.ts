import { startProgram } from '../test/support/program.ts';
import type { Latency } from './figure.ts';

/** Events that are posted. */
export interface Order {
  readonly url: string;
  readonly path: string;
  readonly key: string | null;
  /** Of the events, by turns. */
  readonly types: readonly string[];
  readonly events: number;
  /** How many events one request carries. */
  readonly batch: number;
  readonly connections: number;
  /**
   * Null: the next request as soon as one is answered. Else requests begin on a schedule, whatever becomes of those before, and
   * an event is as old as its place in the schedule: a server that stalls does not slow down what is asked of it.
   */
  readonly eventsPerSecond: number | null;
}

export type FromGenerator = { readonly ready: true } | { readonly answered: Latency } | { readonly failed: string };

/** Who publishes, in a process of its own: what else there is to do keeps it from nothing. */
export interface Generator {
  readonly pid: number;
  /** Resolves when everything was answered, with how long that took from the time when it was to be sent. */
  post(order: Order): Promise<Latency>;
  end(): Promise<void>;
}

export async function startGenerator(): Promise<Generator> {
  const program = startProgram(new URL('./processes/generator.ts', import.meta.url));
  await program.message((message: FromGenerator): message is Extract<FromGenerator, { ready: true }> => 'ready' in message);
  return {
    pid: program.pid,
    async post(order) {
      const ended = program.message((message: FromGenerator): message is Exclude<FromGenerator, { ready: true }> => !('ready' in message));
      program.send(order);
      const end = await ended;
      if ('failed' in end) throw new Error(end.failed);
      return end.answered;
    },
    end: () => program.end(),
  };
}
