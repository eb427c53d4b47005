import { type DestinationStream, type Logger, pino } from 'pino';

export type Log = Logger;

/** Members that never reach a log line, wherever a caller puts them. `Secret` values redact themselves besides. */
const neverLogged = ['authorization', 'cookie', 'secret', 'signingSecretRef', 'signingSecret', 'apiKey', 'rootKey', 'masterKey'];

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
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: neverLogged.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    destination,
  );
}
