import { CommanderError } from 'commander';
import { type Io, UsageError } from './io.ts';
import { outputOf } from './output.ts';
import { explain } from './problems.ts';
import { programFor } from './program.ts';
import type { Session } from './session.ts';

/** What the shell gets back: done; it did not work; the flags are wrong and nothing was sent. */
export type ExitCode = 0 | 1 | 2;

/** Runs one `kf` command line (the words after `kf`) and says with which code to exit. Never throws. */
export async function run(argv: readonly string[], io: Io): Promise<ExitCode> {
  let session: Session | undefined;
  const program = programFor({ io, argv, opened: (opened) => (session = opened) });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // The parser has already written its message; help and version are no errors.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    const output = session?.output ?? outputOf(io, { format: undefined, quiet: false, color: !argv.includes('--no-color') });
    explain(error, { program: io.environment.program, argv }, output.asideLook).forEach((line) => output.warn(line));
    return error instanceof UsageError ? 2 : 1;
  }
}
