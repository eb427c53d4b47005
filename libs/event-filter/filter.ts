import { Environment, ParseError, TypeError as CelTypeError } from '@marcbachmann/cel-js';
import { maxFilterLength } from '#kernel';
import type { EventData } from './event-data.ts';
import { NotInFilters, type Term, termOf } from './terms.ts';
import { Failure, tooMuch, Work } from './work.ts';

/** What a filter says of an event: whether its receiver wants it, or why it could not tell, which means that it does not get it. */
export type FilterVerdict = { readonly wants: boolean } | { readonly failed: string };

export interface EventFilter {
  /** The same for the same data, at every time and in every process. Takes at most 100,000 steps, which are milliseconds. */
  judge(data: EventData): FilterVerdict;
}

// The spec's own minimums for nesting and literals are far beyond what fits into a filter; these keep the parser's work small.
const language = new Environment({ homogeneousAggregateLiterals: false, limits: { maxAstNodes: 250, maxDepth: 24 } }).registerVariable('data', 'dyn');

/**
 * Reads a filter: an expression of the Common Expression Language (https://cel.dev) about `data`, the event's data, that is
 * true for the events wanted. Filters have a part of the language, the one whose cost can be bounded; `malformed` says what
 * is wrong and at which character, counted from 1. At most `maxFilterLength` characters.
 *
 * The library reads and checks the expression. It is evaluated here, because no library of the language can be told how much
 * it may do, and this one keeps something for every shape of data it has ever compared (docs/decisions/0022).
 */
export function parseFilter(text: string): EventFilter | { readonly malformed: string } {
  if (text.length > maxFilterLength) return { malformed: `is longer than ${maxFilterLength} characters` };
  try {
    return filterOf(checked(text));
  } catch (error) {
    return { malformed: wrong(error) };
  }
}

/** A filter that a command has accepted. One that cannot be read any more cannot tell, of any event. */
export function acceptedFilter(text: string): EventFilter {
  const read = parseFilter(text);
  return 'malformed' in read ? { judge: () => ({ failed: `it ${read.malformed}` }) } : read;
}

/** Throws `NotInFilters`, or the errors of the library. */
function checked(text: string): Term {
  const parsed = language.parse(text);
  const term = termOf(parsed.ast, ['data']);
  const { valid, type, error } = parsed.check();
  if (!valid) throw error ?? new TypeError(`an expression that is not valid, and nothing said why: ${text}`);
  if (type !== 'bool' && type !== 'dyn') throw new NotInFilters(`it must be true or false, and it is of type ${type}`, { start: 0 });
  return term;
}

function wrong(error: unknown): string {
  if (error instanceof NotInFilters) return atCharacter(error.start, error.message);
  if (error instanceof ParseError || error instanceof CelTypeError) return atCharacter(error.range?.start ?? 0, error.summary);
  throw error;
}

const atCharacter = (start: number, message: string): string => `is wrong at character ${start + 1}: ${message}`;

const filterOf = (term: Term): EventFilter => ({
  judge: (data) => {
    const work = new Work(data.value);
    const value = term(work);
    if (work.exhausted) return { failed: tooMuch.why };
    if (value instanceof Failure) return { failed: value.why };
    return typeof value === 'boolean' ? { wants: value } : { failed: 'it is neither true nor false' };
  },
});
