import { startProgram } from '../program.ts';

/** One request as the receiver saw it, from its last byte to its end. */
export interface SeenRequest {
  /** Of the sender's end of the connection, and when that was made: together they tell which process sent it. */
  readonly port: number;
  readonly connectedAtMs: number;
  readonly subscriptionId: string;
  readonly deliveryId: string;
  readonly eventId: string;
  readonly arrivedAtMs: number;
  /** The status that was sent; null where the connection was cut instead, by either end. */
  readonly status: number | null;
  /** When the receiver began to answer, or the connection was cut. */
  readonly endedAtMs: number;
}

export type ToReceiver = { readonly calm: true } | { readonly flush: number };
export type FromReceiver = { readonly listening: number } | { readonly seen: readonly SeenRequest[] } | { readonly flushed: number; readonly open: number };

/** A receiver in a process of its own. Its paths are `/<temper>/<subscription id>`. */
export interface SoakReceiver {
  readonly url: string;
  /** What has ended so far. */
  readonly seen: readonly SeenRequest[];
  /** From now on it answers everything with 200, at once. */
  calm(): void;
  /** Everything that ended before is in `seen` when it resolves; answers how many requests are open. */
  flush(): Promise<number>;
  close(): Promise<void>;
}

export async function startSoakReceiver(seed: number): Promise<SoakReceiver> {
  const program = startProgram(new URL('./receiver-process.ts', import.meta.url), [String(seed)]);
  const seen: SeenRequest[] = [];
  program.onMessage((message: FromReceiver) => {
    if ('seen' in message) seen.push(...message.seen);
  });
  const { listening } = await program.message((message: FromReceiver): message is Extract<FromReceiver, { listening: number }> => 'listening' in message);
  let flushes = 0;
  return {
    url: `http://127.0.0.1:${listening}`,
    seen,
    calm: () => program.send({ calm: true }),
    flush: async () => {
      flushes += 1;
      const flush = flushes;
      const flushed = program.message((message: FromReceiver): message is Extract<FromReceiver, { flushed: number }> => 'flushed' in message && message.flushed === flush);
      program.send({ flush });
      return (await flushed).open;
    },
    close: () => program.end(),
  };
}
