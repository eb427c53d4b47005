import type { IncomingHttpHeaders } from 'node:http';
import { startProgram } from './program.ts';

/** One request as the receiver got it, whole. */
export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly atMs: number;
}

export type ToParent =
  | { readonly listening: number }
  | { readonly received: Received; readonly underWay: number }
  | { readonly expecting: number }
  | { readonly counted: number }
  | { readonly drained: true };

export type ToReceiver = { readonly keepOpen: number } | { readonly expect: number } | { readonly drain: true };

/** A receiver in a process of its own. */
export interface ReceiverProcess {
  readonly url: string;
  readonly pid: number;
  /** From now on it answers, oldest first, only what goes beyond so many unanswered requests; at first it answers all. */
  keepOpen(requests: number): void;
  /** Starts to count anew; `done` resolves at the request of that number. */
  expect(requests: number): Promise<{ readonly done: Promise<void> }>;
  /** Resolves when nobody is connected: all that a sender that is gone has sent was handed over. */
  drained(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a receiver. With `onReceived` it hands over every request, and how many have no answer at that moment. */
export async function startReceiverProcess(onReceived?: (received: Received, underWay: number) => void): Promise<ReceiverProcess> {
  const program = startProgram(new URL('./receiver-process.ts', import.meta.url), [onReceived === undefined ? 'count' : 'record']);
  const said = <Key extends string>(key: Key): Promise<Extract<ToParent, Record<Key, unknown>>> => program.message((message: ToParent): message is Extract<ToParent, Record<Key, unknown>> => key in message);
  const tell = (message: ToReceiver): void => program.send(message);
  program.onMessage((message: ToParent) => {
    if ('received' in message) onReceived?.(message.received, message.underWay);
  });
  const { listening } = await said('listening');
  return {
    url: `http://127.0.0.1:${listening}`,
    pid: program.pid,
    keepOpen: (requests) => tell({ keepOpen: requests }),
    async expect(requests) {
      const expecting = said('expecting');
      const counted = said('counted');
      tell({ expect: requests });
      await expecting;
      return { done: counted.then(() => undefined) };
    },
    async drained() {
      const drained = said('drained');
      tell({ drain: true });
      await drained;
    },
    close: () => program.end(),
  };
}
