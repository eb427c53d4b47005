/** Where the time comes from. Everything that decides takes the time as a value; only shells hold a clock. */
export interface Clock {
  /** Milliseconds since 1970 UTC. May go back when an operator sets the clock. */
  now(): number;
  /** Milliseconds since some start; never goes back. For deadlines and durations. */
  monotonicMs(): number;
  /** Calls `wake` once after `delayMs`, unless the returned function is called first. */
  after(delayMs: number, wake: () => void): () => void;
}

/** Where ids and randomness come from. */
export interface Ids {
  /** A random UUID (version 4). */
  uuid(): string;
  /** `length` bytes from a cryptographic source. */
  randomBytes(length: number): Uint8Array;
}

/** Resolves after `delayMs` of the clock's time, or rejects with the signal's reason. */
export async function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
