import type { DomainEvent, Stored } from './events.ts';

/** A command that was refused: a value, never an exception. `code` is a problem slug of the outside contract. */
export interface Refusal<Code extends string = string> {
  readonly refused: Code;
  /** One sentence for a person: what is not as it should be, and what would be. */
  readonly detail: string;
  /** Members that the problem answer carries beside the standard ones. Never a secret, never another caller's request. */
  readonly members?: Readonly<Record<string, unknown>>;
}

/** What a command did: the facts to record (none: nothing to do) and the answer without secrets. */
export interface Accepted<Event, Result extends object = object> {
  readonly events: readonly Event[];
  readonly result: Result;
}

export type Decision<Event, Result extends object = object, Code extends string = string> =
  | Accepted<Event, Result>
  | Refusal<Code>;

/**
 * One aggregate as three pure pieces. `evolve` folds what happened; `decide` says what a command does to a state.
 * Neither reads a clock, a random source or a store: everything it needs stands in the command.
 */
export interface Decider<State, Command, Event extends DomainEvent<string, object>, Result extends object = object> {
  readonly initialState: State;
  evolve(state: State, event: Stored<Event>): State;
  decide(state: State, command: Command): Decision<Event, Result>;
}

export const refuse = <Code extends string>(refused: Code, detail: string, members?: Readonly<Record<string, unknown>>): Refusal<Code> =>
  members === undefined ? { refused, detail } : { refused, detail, members };

export const isRefusal = (value: object): value is Refusal => 'refused' in value;
