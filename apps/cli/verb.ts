import { Argument, type Command } from 'commander';
import { type Flag, type Flags, type Given, optionOf, readFlags, type Values } from './flags.ts';
import { type Io, UsageError } from './io.ts';
import { actorOfProfile, type Profile, siteOfProfile } from './profile.ts';
import { globalFlags, openSession, type Session } from './session.ts';

/** One verb: what help says, its flags, and what it does with them once all of them are valid. */
export interface Verb<F extends Flags> {
  readonly name: string;
  readonly summary: string;
  /** What a person should know before using it: effects, limits. */
  readonly details?: string;
  readonly examples: readonly string[];
  readonly flags: F;
  /** It manages the profiles themselves, so none is read. */
  readonly withoutProfile?: true;
  run(session: Session, values: Values<F>): Promise<void> | void;
}

type Typed = Readonly<Record<string, Given>>;

/** What a program is told about the run it is built for. */
export interface Running {
  readonly io: Io;
  readonly argv: readonly string[];
  /** Tells who handles a failure how the session prints. */
  opened(session: Session): void;
}

/** Puts a verb, or a group of them, below a parent. */
export type Part = (parent: Command, running: Running) => void;

/** Every group and verb is made here, so that all behave the same. */
export function addCommand(parent: Command, name: string, summary: string): Command {
  const command = parent.command(name).summary(summary).description(summary).showSuggestionAfterError().exitOverride();
  return command.configureHelp({ showGlobalOptions: true, sortSubcommands: false }).copyInheritedSettings(parent);
}

export const group = (name: string, summary: string, parts: readonly Part[]): Part => (parent, running) => {
  const command = addCommand(parent, name, summary);
  parts.forEach((part) => part(command, running));
};

export const exitCodes = 'Exit codes: 0 done; 1 refused by the server, or no answer; 2 a flag is missing or malformed, nothing was sent.';

export const verb = <F extends Flags>(of: Verb<F>): Part => (parent, running) => {
  const command = addCommand(parent, of.name, of.summary);
  const entries = Object.entries(of.flags);
  const positional = entries.filter(([, flag]) => flag.argument !== undefined);
  for (const [, flag] of positional) command.addArgument(new Argument(flag.argument ?? '', flag.about));
  for (const [, flag] of entries) if (flag.syntax.startsWith('-')) command.addOption(optionOf(flag));
  if (of.details !== undefined) command.description(`${of.summary}\n\n${of.details}`);
  command.addHelpText('after', `\nExamples:\n${of.examples.map((example) => `  $ ${example}`).join('\n')}\n\n${exitCodes}\n`);
  command.action(async () => {
    const given: Typed = command.optsWithGlobals();
    const session = openSession(running.io, running.argv, readFlags(globalFlags, given), { withProfile: of.withoutProfile !== true });
    running.opened(session);
    const typed = { ...given, ...namelessOf(positional, command.args, given) };
    await of.run(session, readFlags(of.flags, { site: session.profile.site, ...siteOfProfile(session.profile), ...actorFrom(session.profile, given), ...typed }));
  });
};

/** The values typed without a flag's name, by the flag they are for. Throws a UsageError when one was typed both ways. */
function namelessOf(positional: readonly (readonly [string, Flag<unknown>])[], args: readonly string[], given: Typed): Typed {
  const typed = positional.flatMap(([name, flag], index) => (args[index] === undefined ? [] : [[name, flag, args[index]] as const]));
  const twice = typed.flatMap(([name, flag]) => (given[name] === undefined ? [] : [`${flag.syntax} is given twice: with and without its name`]));
  if (twice.length > 0) throw new UsageError(twice);
  return Object.fromEntries(typed.map(([name, , value]) => [name, value]));
}

/** The actor of a profile, as a whole: half a typed actor is not completed with half of another. */
function actorFrom(profile: Profile, given: Typed): Typed {
  const actor = actorOfProfile(profile);
  const typed = given['actorType'] !== undefined || given['actorId'] !== undefined;
  return actor === undefined || typed ? {} : { actorType: actor.type, actorId: actor.id };
}
