import { type DestinationStream, type Logger, pino } from 'pino';
import { censored } from './censor.ts';

export type Log = Logger;

/** Lines wait for others, because each write of one costs as much as making it: so many bytes, so long. */
const gatheredBytes = 8 * 1024;
const gatheredMs = 50;
/** Pino's number of its level `warn`. */
const warning = 40;

/** Somewhere to write to; `flush` writes what waits there, at once. */
export type LogDestination = DestinationStream & { readonly flush?: () => void };

let stderr: LogDestination | undefined;

function openStderr(): LogDestination {
  const destination = pino.destination({ dest: 2, sync: true, minLength: gatheredBytes, periodicFlush: gatheredMs });
  process.on('exit', () => destination.flush());
  return destination;
}

/**
 * Structured log lines (one JSON object each) with the time in UTC. Writes to stderr unless given another destination: warnings and
 * what is worse at once, other lines within 50 ms and at the end of the process, however it ends except by `kill -9`.
 */
export function createLog(level: string, destination: LogDestination = (stderr ??= openStderr())): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: censored },
      hooks: {
        logMethod(line, write, levelOfLine) {
          write.apply(this, line);
          if (levelOfLine >= warning) destination.flush?.();
        },
      },
    },
    destination,
  );
}
