import { startProgram } from '../../test/support/program.ts';

/** The most that can be asked for: Nest and Fastify with the requests' own validation and nothing behind it, in a process of its own. */
export interface ValidatingCeiling {
  readonly pid: number;
  readonly url: string;
  end(): Promise<void>;
}

export async function startValidatingCeiling(): Promise<ValidatingCeiling> {
  const program = startProgram(new URL('./bare-nest.ts', import.meta.url));
  const { url } = await program.message((message: { url: string }): message is { url: string } => 'url' in message);
  return { pid: program.pid, url, end: () => program.end() };
}
