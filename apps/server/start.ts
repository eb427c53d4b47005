import { existsSync, readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { ConfigError, readServerConfig, type ServerConfig } from '#config';
import { createLog, type Log } from '#telemetry';
import { AllowedTargetMalformed } from '#webhook-sender';
import { createServer, type Server } from './server.ts';
import { systemClock, systemIds } from './system.ts';
import { welcome } from './welcome.ts';

const usageError = 2;
const failure = 1;
/** Longer than a request and the recording of its outcome may take. */
const stopWithinMs = 30_000;

function readConfig(): ServerConfig {
  try {
    return readServerConfig();
  } catch (error) {
    if (error instanceof ConfigError) refuseToStart(['The configuration is not valid:', ...error.problems.map((problem) => `  ${problem}`)], usageError);
    throw error;
  }
}

function refuseToStart(lines: readonly string[], exitCode: number): never {
  process.stderr.write(`${lines.join('\n')}\n`);
  process.exit(exitCode);
}

/** What stands in the way, in one line; the rest is for the log. */
function explain(error: unknown, log: Log): never {
  log.fatal({ err: error }, 'the server did not start');
  refuseToStart([`Countersign did not start: ${messageOf(error)}`], error instanceof AllowedTargetMalformed ? usageError : failure);
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const taken = 'code' in error && error.code === 'EADDRINUSE';
  return taken ? `something else listens on port ${config.port} of ${config.host} already; KF_PORT takes another one` : error.message;
}

function versionOf(packageFile: string | undefined): string {
  if (packageFile === undefined) return 'unknown';
  const { version } = JSON.parse(readFileSync(packageFile, 'utf8')) as { readonly version: string };
  return version;
}

/**
 * The second signal, and a stop that takes too long, end the process at once: what was acknowledged is on disk. So does a signal
 * before there is a server to stop: without a listener it would not reach the first process of a container.
 */
function stopOnSignals(log: Log): { readonly server: (started: Server) => void } {
  let server: Server | undefined;
  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping || server === undefined) process.exit(failure);
    stopping = true;
    log.info({ signal }, 'stopping');
    setTimeout(() => process.exit(failure), stopWithinMs).unref();
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.fatal({ err: error }, 'the server did not stop cleanly');
        process.exit(failure);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stop(signal));
  return {
    server: (started) => {
      server = started;
    },
  };
}

// What was said on the command line of the main thread's heap (node-arguments.json) would go before what other threads say of theirs.
setFlagsFromString('--max-semi-space-size=0');

const config = readConfig();
const log = createLog(config.logLevel);
// Nothing is known of the state after these: a restart reads it from the log.
const die = (error: unknown): never => {
  log.fatal({ err: error }, 'the process ends');
  process.exit(failure);
};
process.on('uncaughtException', die);
process.on('unhandledRejection', die);
const onSignal = stopOnSignals(log);

// No timer of the server keeps the process alive, and while it waits for the event store nothing else does.
const awake = setInterval(() => undefined, stopWithinMs);
const packageJson = findPackageJSON('.', import.meta.url);
const version = versionOf(packageJson);
const isCheckout = packageJson !== undefined && existsSync(join(dirname(packageJson), 'bin', 'kf.mjs'));
const server = await createServer({ config, clock: systemClock, ids: systemIds, log, version, processMetrics: true, onFatal: die }).catch((error: unknown) => explain(error, log));
clearInterval(awake);
onSignal.server(server);
process.stdout.write(welcome({ url: server.url, rootKeyFile: server.rootKeyFile, version, isCheckout, config }));
log.info({ url: server.url, roles: config.roles, version }, 'listening');
