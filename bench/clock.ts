/** Milliseconds on the machine's one monotonic clock: the same in all processes, so a time taken in one can be subtracted in another. */
export const machineMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;
