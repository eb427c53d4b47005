import { type DestinationStream, type Logger, pino } from 'pino';
import { censored } from './censor.ts';

export type Log = Logger;

/**
 * Structured log lines (one JSON object each) with the time in UTC. Writes to stderr unless given another destination;
 * synchronous, so that the last line before a crash is there.
 */
export function createLog(level: string, destination: DestinationStream = pino.destination({ dest: 2, sync: true })): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: censored },
    },
    destination,
  );
}
