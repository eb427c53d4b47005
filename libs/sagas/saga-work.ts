import type { RecordedEvent, SagaInput } from '#kernel';
import { Deadlines } from './deadlines.ts';
import { isTrouble, Stopping } from './endure.ts';
import { Entries, type InputRef, type Parked } from './entries.ts';
import type { Stretch, Work, WorkContext } from './follower.ts';
import { inFlight } from './in-flight.ts';
import type { Origins } from './origins.ts';
import { type OutputParts, perform } from './outputs.ts';
import type { AnySaga, SagaOutput } from './port.ts';

/** One input met by one instance: what it was before, and what must happen. */
interface Step {
  readonly instance: string;
  readonly input: SagaInput;
  readonly before: object | null;
  readonly outputs: readonly SagaOutput[];
}

const outputsInFlight = 64;
/** Inputs kept with a parked instance. */
const maxWaiting = 1_000;

/**
 * Runs one saga: reacts to inputs in log order, then does their outputs, those of one instance in order and different
 * instances side by side. An input that can't be reacted to, or whose output is refused, parks its instance.
 */
export class SagaWork implements Work {
  readonly entries: Entries;
  readonly #saga: AnySaga;
  readonly #parts: OutputParts;
  readonly #origins: Origins;
  readonly #deadlines = new Deadlines();

  constructor(saga: AnySaga, parts: OutputParts, origins: Origins) {
    this.#saga = saga;
    this.#parts = parts;
    this.#origins = origins;
    this.entries = new Entries((instance, entry) => this.#deadlines.set(instance, entry?.parked === null && entry.state !== null ? saga.deadlineOf(entry.state) : undefined));
  }

  get name(): string {
    return this.#saga.name;
  }

  get prefixes(): readonly string[] {
    return this.#saga.prefixes;
  }

  nextDueMs(): number {
    return this.#deadlines.next();
  }

  /** What was parked is tried again, in the order in which it came: the code may have been mended since. */
  async begin(context: WorkContext): Promise<number> {
    const steps: Step[] = [];
    for (const [instance, { inputs }, state] of this.entries.parked()) {
      this.entries.set(instance, { state, parked: null });
      for (const { stream, revision, routed } of inputs) {
        const [event] = await this.#parts.store.readStream(stream, revision, 1);
        if (event === undefined) continue;
        const input = await this.#inputOf(event);
        steps.push(...(routed ? this.#step(instance, input, context) : this.#route(input, context)));
      }
    }
    return await this.#perform(steps, context);
  }

  async react({ events }: Stretch, context: WorkContext): Promise<number> {
    const wants = (event: RecordedEvent): boolean => this.#saga.wants(event, this.entries);
    await this.#origins.fetch(events.filter((event) => wants(event) && this.#needsOrigin(event)).map(({ stream }) => stream));
    const steps: Step[] = [];
    // Asked again: what came before it in the stretch may have opened an instance.
    for (const event of events) if (wants(event)) steps.push(...this.#route(await this.#inputOf(event), context));
    return await this.#perform(steps, context);
  }

  async fire(nowMs: number, context: WorkContext): Promise<number> {
    const steps = this.#deadlines.due(nowMs).flatMap((instance) => this.#step(instance, { kind: 'deadline', nowMs }, context));
    return await this.#perform(steps, context);
  }

  async #inputOf(event: RecordedEvent): Promise<EventInput> {
    if (this.#saga.wantsOrigin?.(event) !== true) return { kind: 'event', event, origin: null };
    if (event.revision > 0) return { kind: 'event', event, origin: await this.#origins.of(event.stream) };
    this.#origins.meet(event);
    return { kind: 'event', event, origin: event };
  }

  #needsOrigin(event: RecordedEvent): boolean {
    return event.revision > 0 && this.#saga.wantsOrigin?.(event) === true;
  }

  #route(input: EventInput, context: WorkContext): readonly Step[] {
    let instances: readonly string[];
    try {
      instances = this.#saga.instancesOf(input.event, input.origin, this.entries);
    } catch (error) {
      // It can't be told whom it concerns; the stream it stands in is the best guess.
      const { stream } = input.event;
      this.#park(stream, this.entries.get(stream)?.state ?? null, [refOf(input.event, false)], error, context);
      return [];
    }
    return instances.flatMap((instance) => this.#step(instance, input, context));
  }

  /** Reacts. Nothing when the instance is parked (the input waits with it), is parked now, or is not changed at all. */
  #step(instance: string, input: SagaInput, context: WorkContext): readonly Step[] {
    const { state: before, parked } = this.entries.get(instance) ?? { state: null, parked: null };
    if (parked !== null) {
      this.entries.set(instance, { state: before, parked: joined(parked, refsOf([input])) });
      return [];
    }
    try {
      const { state, outputs } = this.#saga.react(instance, before, input);
      if (input.kind === 'deadline') this.#mustMoveOn(before, state);
      if (state === before && outputs.length === 0) return [];
      this.entries.set(instance, { state, parked });
      return [{ instance, input, before, outputs }];
    } catch (error) {
      this.#park(instance, before, refsOf([input]), error, context);
      return [];
    }
  }

  /** Otherwise it would come again at once, for ever. */
  #mustMoveOn(before: object | null, after: object | null): void {
    const dueMs = (state: object | null): number => (state === null ? Infinity : (this.#saga.deadlineOf(state) ?? Infinity));
    if (dueMs(after) <= dueMs(before)) throw new TypeError('a deadline was met and is still due');
  }

  async #perform(steps: readonly Step[], context: WorkContext): Promise<number> {
    const chains = Map.groupBy(steps, ({ instance }) => instance);
    await inFlight(chains.values(), outputsInFlight, (chain) => this.#chain(chain, context));
    return steps.length;
  }

  async #chain(chain: readonly Step[], context: WorkContext): Promise<void> {
    for (const [index, { instance, before, outputs }] of chain.entries()) {
      try {
        for (const output of outputs) await context.endurance.durably(() => perform(this.#parts, this.name, output));
      } catch (error) {
        if (error instanceof Stopping || isTrouble(error)) throw error;
        this.#park(instance, before, refsOf(chain.slice(index).map(({ input }) => input)), error, context);
        return;
      }
    }
  }

  /** Puts the instance back to before the input, which waits with it, before any that wait already. */
  #park(instance: string, before: object | null, inputs: readonly InputRef[], cause: unknown, context: WorkContext): void {
    const error = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    const parked: Parked = { error, sinceMs: this.#parts.clock.now(), inputs, dropped: 0 };
    const already = this.entries.get(instance)?.parked;
    this.entries.set(instance, { state: before, parked: already ? { ...joined(parked, already.inputs), dropped: already.dropped } : parked });
    context.alarm('instance-parked', instance, error);
  }
}

type EventInput = Extract<SagaInput, { kind: 'event' }>;

const refOf = ({ stream, revision }: RecordedEvent, routed: boolean): InputRef => ({ stream, revision, routed });

/** Deadlines need no keeping: they come again by themselves. */
const refsOf = (inputs: readonly SagaInput[]): readonly InputRef[] => inputs.flatMap((input) => (input.kind === 'event' ? [refOf(input.event, true)] : []));

function joined(parked: Parked, more: readonly InputRef[]): Parked {
  const inputs = [...parked.inputs, ...more];
  return { ...parked, inputs: inputs.slice(0, maxWaiting), dropped: parked.dropped + Math.max(0, inputs.length - maxWaiting) };
}
