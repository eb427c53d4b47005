import type { ASTNode } from '@marcbachmann/cel-js';
import { elements, equal, field, hasField, isIn, item, order, size, testText, type TextTest } from './values.ts';
import { Failure, tooMuch, type Work } from './work.ts';

/** A part of an expression, ready to be evaluated: a JSON value, or a `Failure`. */
export type Term = (work: Work) => unknown;

/** A part of an expression that filters do not have. `start`: the first of its characters, counted from 0. */
export class NotInFilters extends Error {
  readonly start: number;

  constructor(message: string, { start }: { readonly start: number }) {
    super(message);
    this.start = start;
  }
}

type Operator = ASTNode['op'];
type Build = (node: ASTNode, names: readonly string[]) => Term;

const available = 'filters have fields, indexes, literals, lists of them, ==, !=, <, <=, >, >=, in, &&, ||, !, has(), size(), startsWith(), endsWith(), contains(), exists() and all()';

/**
 * Makes a term of a part of an expression. `names`: what stands for something there, each at its place in `Work.values`.
 * Every term takes at least a step, so an expression ends however lists are gone through inside each other. Throws
 * `NotInFilters` for what the language has and filters have not.
 */
export function termOf(node: ASTNode, names: readonly string[]): Term {
  const build = builds[node.op];
  if (build === undefined) throw new NotInFilters(`${node.op} is not among what filters can do: ${available}`, node);
  const term = build(node, names);
  return (work) => (work.spend(1) ? term(work) : tooMuch);
}

/** A term of what its operands come to; the first that fails is what it comes to itself. */
const of = (operands: readonly Term[], value: (values: readonly unknown[], work: Work) => unknown): Term => (work) => {
  const values: unknown[] = [];
  for (const operand of operands) {
    const one = operand(work);
    if (one instanceof Failure) return one;
    values.push(one);
  }
  return value(values, work);
};

/** The parts of a node of two, whatever its operator. */
const pair = (node: ASTNode, names: readonly string[]): readonly Term[] => (node.args as readonly [ASTNode, ASTNode]).map((part) => termOf(part, names));

const compared = (holds: (sign: number) => boolean): Build => (node, names) =>
  of(pair(node, names), ([a, b], work) => {
    const sign = order(a, b, work);
    return sign instanceof Failure ? sign : holds(sign);
  });

/** `&&` and `||`: one side may decide alone, whatever becomes of the other. */
const logical = (deciding: boolean): Build => (node, names) => {
  const [left, right] = pair(node, names) as [Term, Term];
  return (work) => {
    const first = truth(left(work));
    if (first === deciding) return deciding;
    const second = truth(right(work));
    return second === deciding || !(first instanceof Failure) ? second : first;
  };
};

const truth = (value: unknown): boolean | Failure => (typeof value === 'boolean' || value instanceof Failure ? value : new Failure('a condition is neither true nor false'));

const builds: Partial<Record<Operator, Build>> = {
  value: literal,
  id: named,
  '.': (node, names) => {
    const [from, name] = selected(node);
    return of([termOf(from, names)], ([value]) => field(value, name));
  },
  '[]': (node, names) => of(pair(node, names), ([value, key]) => item(value, key)),
  list: (node, names) => of((node.args as readonly ASTNode[]).map((part) => termOf(part, names)), (values) => values),
  '==': (node, names) => of(pair(node, names), ([a, b], work) => equal(a, b, work)),
  '!=': (node, names) => of(pair(node, names), ([a, b], work) => !equal(a, b, work)),
  '<': compared((sign) => sign < 0),
  '<=': compared((sign) => sign <= 0),
  '>': compared((sign) => sign > 0),
  '>=': compared((sign) => sign >= 0),
  in: (node, names) => of(pair(node, names), ([one, all], work) => isIn(one, all, work)),
  '&&': logical(false),
  '||': logical(true),
  '!_': (node, names) =>
    of([termOf(node.args as ASTNode, names)], ([value]) => {
      const held = truth(value);
      return held instanceof Failure ? held : !held;
    }),
  '-_': (node, names) => of([termOf(node.args as ASTNode, names)], ([value]) => (typeof value === 'number' ? -value : new Failure('only a number has a negative'))),
  call: (node, names) => {
    const [name, parts] = node.args as [string, readonly ASTNode[]];
    const [part] = parts;
    if (part !== undefined && name === 'size') return sized(part, names);
    if (part?.op === '.' && name === 'has') {
      const [from, member] = selected(part);
      return of([termOf(from, names)], ([value]) => hasField(value, member));
    }
    throw new NotInFilters(name === 'has' ? 'has() takes a field, such as has(data.customer)' : notAvailable(name), node);
  },
  rcall: (node, names) => {
    const [name, on, parts] = node.args as [string, ASTNode, readonly ASTNode[]];
    const [first, second] = parts;
    if (name === 'size') return sized(on, names);
    if (first !== undefined && isTextTest(name)) return of([termOf(on, names), termOf(first, names)], ([text, part], work) => testText(name, text, part, work));
    if (first !== undefined && second !== undefined && (name === 'exists' || name === 'all')) return quantified(name === 'exists', on, [first, second], names);
    throw new NotInFilters(notAvailable(name), node);
  },
};

const selected = (node: ASTNode): readonly [ASTNode, string] => node.args as [ASTNode, string];

const sized = (part: ASTNode, names: readonly string[]): Term => of([termOf(part, names)], ([value], work) => size(value, work));

const isTextTest = (name: string): name is TextTest => name === 'startsWith' || name === 'endsWith' || name === 'contains';

const notAvailable = (name: string): string =>
  name === 'matches' ? 'matches() is not available: there are expressions that take for ever to match; use startsWith(), endsWith() or contains()' : `${name}() is not available: ${available}`;

function literal(node: ASTNode): Term {
  const { args: value } = node;
  if (typeof value === 'bigint') {
    const number = Number(value);
    if (!Number.isSafeInteger(number)) throw new NotInFilters('a whole number of JSON is exact up to 9007199254740991 only', node);
    return () => number;
  }
  if (value !== null && typeof value === 'object') throw new NotInFilters('JSON has no such value: texts, numbers, true, false and null it has', node);
  return () => value;
}

function named(node: ASTNode, names: readonly string[]): Term {
  const name = node.args as string;
  const place = names.lastIndexOf(name);
  if (place < 0) throw new NotInFilters(`${name} is unknown: a filter speaks of the event's data, as in data.${name}`, node);
  return (work) => work.values[place];
}

/** `exists` and `all`: an element may decide alone, whatever becomes of the others. */
function quantified(deciding: boolean, on: ASTNode, [variable, condition]: readonly [ASTNode, ASTNode], names: readonly string[]): Term {
  // The parser has taken nothing but a name for the element.
  const holds = termOf(condition, [...names, variable.args as string]);
  const decide = (all: readonly unknown[], work: Work): unknown => {
    let failed: Failure | undefined;
    for (const one of all) {
      work.values[names.length] = one;
      const held = truth(holds(work));
      if (held === deciding || work.exhausted) return held;
      if (held instanceof Failure) failed ??= held;
    }
    return failed ?? !deciding;
  };
  return of([termOf(on, names)], ([value], work) => {
    const all = elements(value, work);
    return all instanceof Failure ? all : decide(all, work);
  });
}
