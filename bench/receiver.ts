import { startProgram } from '../test/support/program.ts';
import type { Latency } from './figure.ts';
import { within } from './within.ts';

/** `ok` answers 200 at once, `timed` too and looks how old the event is; the others never do: no answer, one byte a second, a reset, 500. */
export type Manner = 'ok' | 'timed' | 'hang' | 'drip' | 'reset' | 'fail';

export type FromReceiver =
  | { readonly listening: number }
  | { readonly expecting: true }
  | { readonly reached: number; readonly atMs: number }
  | { readonly latencies: Readonly<Record<string, Latency>> };

type ReachedOne = Extract<FromReceiver, { reached: number }>;

export type ToReceiver = { readonly expect: readonly number[]; readonly group: string | null } | { readonly report: true };

export type Reached = (number: number, maxMs: number) => Promise<number>;

/** Receivers in a process of their own. */
export interface Receiver {
  /** Where one that has this manner is, whose requests are counted with those of the group. */
  url(manner: Manner, group: string): string;
  /** Begins to count anew, all requests or those of one group; what it answers resolves at the request of one of these numbers, with its machine time. */
  expect(numbers: readonly number[], group?: string): Promise<Reached>;
  /** How old events were when they came to receivers of a group, since it began to count. */
  latency(group: string): Promise<Latency>;
  end(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const program = startProgram(new URL('./processes/receiver.ts', import.meta.url));
  const said = <Key extends string>(key: Key): Promise<Extract<FromReceiver, Record<Key, unknown>>> =>
    program.message((message: FromReceiver): message is Extract<FromReceiver, Record<Key, unknown>> => key in message);
  const tell = (message: ToReceiver): void => program.send(message);
  const { listening } = await said('listening');
  return {
    url: (manner, group) => `http://127.0.0.1:${listening}/${manner}/${group}`,
    async expect(numbers, group) {
      const expecting = said('expecting');
      const times = new Map(numbers.map((number) => [number, program.message((message: FromReceiver): message is ReachedOne => 'reached' in message && message.reached === number)]));
      const timeOf = (number: number): Promise<ReachedOne> => times.get(number) ?? Promise.reject(new Error(`nobody looks for request ${number}`));
      // Whoever does not wait for one of them does not care that it never came.
      for (const time of times.values()) time.catch(() => undefined);
      tell({ expect: numbers, group: group ?? null });
      await expecting;
      return async (number, maxMs) => (await within(timeOf(number), maxMs, `request ${number} at the receiver`)).atMs;
    },
    async latency(group) {
      const report = said('latencies');
      tell({ report: true });
      const { [group]: latency } = (await report).latencies;
      if (latency === undefined) throw new Error(`no receiver of ${group} was sent anything`);
      return latency;
    },
    end: () => program.end(),
  };
}
