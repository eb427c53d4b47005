import { expect } from '@jest/globals';
import { type Decision, type DomainEvent, formatInstant, isRefusal, type RecordedEvent, stored, type Stored } from '#kernel';
import { simulatedStart } from './simulated-clock.ts';

interface Pure<State, Command, Event extends DomainEvent<string, object>> {
  readonly initialState: State;
  readonly evolve: (state: State, event: Stored<Event>) => State;
  readonly decide: (state: State, command: Command) => Decision<Event>;
}

interface Decisions<State, Command, Event> {
  readonly given: (...history: readonly Fact<Event>[]) => { readonly state: State; readonly when: (command: Command) => Expectations<Event> };
}

interface Expectations<Event> {
  readonly decision: Decision<Event>;
  readonly then: (...events: readonly Event[]) => void;
  readonly thenNothing: () => void;
  readonly thenRefused: (code: string) => void;
}

/** A fact of a history: it happened at the simulated start unless it says when. */
export type Fact<Event> = Event & { readonly atMs?: number };

/** `given(history).when(command).then(events)`: what a pure decider does, in the words of its domain. */
export function decisionsOf<State, Command, Event extends DomainEvent<string, object>>({ initialState, evolve, decide }: Pure<State, Command, Event>): Decisions<State, Command, Event> {
  return {
    given(...history: readonly Fact<Event>[]) {
      const state = history.map(asStored<Event>).reduce(evolve, initialState);
      return {
        state,
        when(command: Command) {
          const decision = decide(state, command);
          return {
            decision,
            then(...events: readonly Event[]): void {
              expect(isRefusal(decision) ? decision : decision.events).toEqual(events);
              if (isRefusal(decision)) return;
              // Doing it twice does nothing more: the state that the decision leads to asks for no second one.
              const after = [...history, ...decision.events].map((event, index) => asStored<Event>(event, index)).reduce(evolve, initialState);
              const again = decide(after, command);
              if (!isRefusal(again) && sameCommandIsIdempotent(command)) expect(again.events).toEqual([]);
            },
            thenNothing(): void {
              expect(isRefusal(decision) ? decision : decision.events).toEqual([]);
            },
            thenRefused(code: string): void {
              expect(isRefusal(decision) ? decision.refused : decision.events).toBe(code);
            },
          };
        },
      };
    },
  };
}

/** Rotating, voting and replaying are not: each time they are asked they do something. */
const repeatable: ReadonlySet<string> = new Set(['rotate', 'grant', 'deny']);
const sameCommandIsIdempotent = (command: unknown): boolean => !repeatable.has(String((command as { do?: string }).do));

function asStored<Event extends DomainEvent<string, object>>(fact: Fact<Event>, index: number): Stored<Event> {
  const { type, data, atMs = simulatedStart } = fact;
  const recorded: RecordedEvent = { id: `event-${index}`, type, data: JSON.stringify(data), metadata: { recordedat: formatInstant(atMs) }, stream: 'given-tnt.production.x', revision: index, position: String(index + 1) };
  return stored<Event>(recorded);
}
