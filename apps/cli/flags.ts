import { Option } from 'commander';
import type { Form } from './forms.ts';
import { UsageError } from './io.ts';
import { visible } from './text.ts';

/** What the parser hands over for one flag. */
export type Given = string | boolean | readonly string[] | undefined;

type Reading<T> = { readonly value: T } | { readonly issue: string };

/** One flag, or one argument without a name: how it is typed, what it means, how it is read. */
export interface Flag<T> {
  /** As in help: `--tenant <id>`; `<name>` for an argument that is no flag. */
  readonly syntax: string;
  readonly about: string;
  readonly repeatable?: true;
  /** The value may also be typed without the flag's name: how help shows that, `[approval-id]`. */
  readonly argument?: string;
  read(given: Given): Reading<T>;
}

export type Flags = Readonly<Record<string, Flag<unknown>>>;
export type Values<F extends Flags> = { readonly [Name in keyof F]: F[Name] extends Flag<infer T> ? T : never };

const short = (syntax: string): string => syntax.split(' ')[0] ?? syntax;

function readAs<T>(title: string, form: Form<T>, given: string): Reading<T> {
  const value = form.read(given);
  if (value !== undefined) return { value };
  const got = form.secret ? '' : `, got ${JSON.stringify(visible(given.slice(0, 100)))}`;
  return { issue: `${title}: expected ${form.expected}${got}` };
}

// A flag whose value may be left out (`--reset-attempts`) arrives as `true`.
const single = (given: Given): string | undefined => (given === true ? 'true' : typeof given === 'string' ? given : undefined);

export const required = <T>(syntax: string, form: Form<T>, about: string): Flag<T> => ({
  syntax,
  about: `${about} (required)`,
  read: (given) => {
    const text = single(given);
    return text === undefined ? { issue: `${syntax} is required: ${about}` } : readAs(short(syntax), form, text);
  },
});

export const optional = <T>(syntax: string, form: Form<T>, about: string): Flag<T | undefined> => ({
  syntax,
  about,
  read: (given) => {
    const text = single(given);
    return text === undefined ? { value: undefined } : readAs(short(syntax), form, text);
  },
});

export const repeated = <T>(syntax: string, form: Form<T>, about: string): Flag<readonly T[]> => ({
  syntax,
  about: `${about} (repeatable)`,
  repeatable: true,
  read: (given) => {
    const readings = (Array.isArray(given) ? (given as readonly string[]) : []).map((item) => readAs(short(syntax), form, item));
    const bad = readings.find((reading) => 'issue' in reading);
    return bad ?? { value: readings.flatMap((reading) => ('value' in reading ? [reading.value] : [])) };
  },
});

/** The same flag, whose value may also be typed without its name. */
export const nameless = <T>(flag: Flag<T>): Flag<T> => ({ ...flag, argument: `[${short(flag.syntax).slice(2)}]` });

/** An argument without dashes that must be there. */
export const argument = <T>(word: string, form: Form<T>, about: string): Flag<T> => ({ ...required(`<${word}>`, form, about), argument: `<${word}>` });

/** A flag without a value. */
export const toggle = (syntax: string, about: string): Flag<boolean> => ({ syntax, about, read: (given) => ({ value: given === true }) });

/** The parser's option for a flag. */
export function optionOf(flag: Flag<unknown>): Option {
  const option = new Option(flag.syntax, flag.about);
  return flag.repeatable ? option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value]) : option;
}

/** Reads what is no flag: an environment variable, a member of a profile, standard input. Throws a UsageError when it is malformed. */
export function readSetting<T>(title: string, form: Form<T>, given: string): T {
  const reading = readAs(title, form, given);
  if ('issue' in reading) throw new UsageError([reading.issue]);
  return reading.value;
}

/** Reads all flags of a verb. Throws a UsageError that names every flag that is missing or malformed, not only the first. */
export function readFlags<F extends Flags>(flags: F, given: Readonly<Record<string, Given>>): Values<F> {
  const readings = Object.entries(flags).map(([name, flag]) => [name, flag.read(given[name])] as const);
  const issues = readings.flatMap(([, reading]) => ('issue' in reading ? [reading.issue] : []));
  if (issues.length > 0) throw new UsageError(issues);
  return Object.fromEntries(readings.map(([name, reading]) => [name, 'value' in reading ? reading.value : undefined])) as Values<F>;
}
