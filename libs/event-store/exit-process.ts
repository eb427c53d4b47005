/** Ends the process because of an error after which only a restart knows what is in the log: says why on stderr, exit code 1. */
export function exitProcess(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
