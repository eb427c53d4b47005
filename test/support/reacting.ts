import { formatInstant, type RecordedEvent, type Saga } from '#kernel';
import { simulatedStart } from './simulated-clock.ts';

/** A saga by itself: events and times go in, outputs come out. */
export class Reacting<State extends object, Output> {
  readonly states = new Map<string, State>();
  readonly #streams = new Map<string, RecordedEvent[]>();
  readonly #saga: Saga<State, Output>;
  #position = 0;

  constructor(saga: Saga<State, Output>) {
    this.#saga = saga;
  }

  /** Something happens, so many milliseconds after the simulated start; answers what follows. */
  happens(stream: string, type: string, data: object = {}, atMs = 0): readonly Output[] {
    return this.meets(this.writes(stream, type, data, atMs));
  }

  /** An event is written; the saga has not met it yet. */
  writes(stream: string, type: string, data: object = {}, atMs = 0): RecordedEvent {
    const events = this.#streams.get(stream) ?? [];
    this.#position += 1;
    const metadata = { recordedat: formatInstant(simulatedStart + atMs), correlationid: 'corr' };
    const event: RecordedEvent = { id: `id-${stream}-${events.length}`, type, data: JSON.stringify(data), metadata, stream, revision: events.length, position: String(this.#position) };
    this.#streams.set(stream, [...events, event]);
    return event;
  }

  meets(event: RecordedEvent): readonly Output[] {
    if (!this.#saga.prefixes.some((prefix) => event.stream.startsWith(prefix)) || !this.#saga.wants(event, this.states)) return [];
    const origin = this.#saga.wantsOrigin?.(event) === true ? (this.#streams.get(event.stream)?.[0] ?? null) : null;
    return this.#saga.instancesOf(event, origin, this.states).flatMap((instance) => this.#reacts(instance, { kind: 'event', event, origin }));
  }

  /** The clock stands so many milliseconds after the simulated start: every deadline that has come is met. */
  passes(atMs: number): readonly Output[] {
    const nowMs = simulatedStart + atMs;
    const outputs: Output[] = [];
    for (;;) {
      const due = [...this.states].find(([, state]) => (this.#saga.deadlineOf(state) ?? Infinity) <= nowMs);
      if (due === undefined) return outputs;
      outputs.push(...this.#reacts(due[0], { kind: 'deadline', nowMs }));
    }
  }

  #reacts(instance: string, input: Parameters<Saga<State, Output>['react']>[2]): readonly Output[] {
    const before = structuredClone(this.states.get(instance) ?? null);
    const { state, outputs } = this.#saga.react(instance, before, input);
    // Plain JSON, and the same again for the same input.
    if (JSON.stringify(this.#saga.react(instance, before, input)) !== JSON.stringify({ state, outputs })) throw new Error(`${this.#saga.name} is not pure`);
    if (state === null) this.states.delete(instance);
    else this.states.set(instance, JSON.parse(JSON.stringify(state)) as State);
    return outputs;
  }
}
