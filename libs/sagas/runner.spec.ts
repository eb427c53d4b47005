import { describe, expect, it } from '@jest/globals';
import type { CommandRequest } from '#command-pipeline';
import { type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { causedBy, type Refusal, refuse, type Saga, type SagaInput, stored, streamOf } from '#kernel';
import { killedAt, redelivering, TestLog } from '../../test/support/log.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import type { AnySaga, SagaAlarm, SagaOutput, SagaRunner, SagaStatus } from './port.ts';
import { createSagaRunner } from './runner.ts';

const site = { tenant: 'acme', environment: 'production' };
const resource = (id: string): string => streamOf('webhooksubscription', site, id);

type Counted = { readonly seen: number; readonly remindAtMs?: number };

/** Counts; says the count aloud; commands; reminds at a time; chokes on poison. */
const counting = (mended = false): Saga<Counted, SagaOutput> => ({
  name: 'counting',
  prefixes: ['webhooksubscription-'],
  wants: ({ type }) => type !== 'Ignored',
  instancesOf: ({ stream }) => [stream],
  react: (instance, state, input) => react(instance, state ?? { seen: 0 }, input, mended),
  deadlineOf: ({ remindAtMs }) => remindAtMs,
});

type Reacts = ReturnType<Saga<Counted, SagaOutput>['react']>;

function react(instance: string, state: Counted, input: SagaInput, mended: boolean): Reacts {
  if (input.kind === 'deadline') return { state: { seen: state.seen }, outputs: [say(`${instance}|reminded|${state.remindAtMs}`, `reminded-${state.seen}`)] };
  const { event } = input;
  const { type, data } = stored<{ type: string; data: { atMs?: number } }>(event);
  const seen = state.seen + 1;
  const silently = (next: Counted | null): Reacts => ({ state: next, outputs: [] });
  const reactions: Readonly<Record<string, () => Reacts>> = {
    Tick: () => ({ state: { ...state, seen }, outputs: [say(event.id, `${instance.split('.').at(-1) ?? ''}-${seen}`)] }),
    Remind: () => silently({ seen, remindAtMs: data.atMs ?? 0 }),
    Forget: () => silently({ seen }),
    Ended: () => silently(null),
    Command: () => ({
      state: { ...state, seen },
      outputs: [{ do: 'command', key: event.id, site, commandType: 'PauseWebhookSubscription', payload: { instance, seen }, settledBy: ['not-found'], because: causedBy(event) }],
    }),
  };
  const known = reactions[type === 'Poison' && mended ? 'Tick' : type];
  if (known === undefined) throw new Error('it can not be read');
  return known();
}

const say = (key: string, what: string): SagaOutput => ({ do: 'create', key, site, stream: streamOf('event', site, what), type: 'Said', data: { what }, because: { correlationId: 'c', causationId: 'c' } });

interface Process {
  readonly runner: SagaRunner;
  readonly alarms: readonly SagaAlarm[];
}

class World {
  readonly clock: SimulatedClock = simulatedClock();
  readonly log = new TestLog(this.clock);
  readonly commands: CommandRequest[] = [];
  answers: (request: CommandRequest) => Refusal | undefined = () => undefined;
  #processes = 0;

  process(store: EventStore = this.log.reopen(), saga: AnySaga = counting()): Process {
    const alarms: SagaAlarm[] = [];
    this.#processes += 1;
    const runner = createSagaRunner({
      store,
      clock: this.clock,
      ids: seededIds(1_000 + this.#processes),
      sagas: [saga],
      execute: (request) => {
        this.commands.push(request);
        const { commandType, payload } = request;
        const answer = { commandId: '', commandType, resourceId: '', outcome: 'APPLIED', revision: 1, position: '1', replayed: false, result: payload, secret: null } as const;
        return Promise.resolve(this.answers(request) ?? answer);
      },
      vault: { shred: () => Promise.resolve() },
      approvals: { boundNow: () => Promise.reject(new Error('not here')), fence: () => Promise.reject(new Error('not here')) },
      onAlarm: (alarm) => alarms.push(alarm),
    });
    return { runner, alarms };
  }

  async started(store?: EventStore, saga?: AnySaga): Promise<Process> {
    const process = this.process(store, saga);
    process.runner.start();
    await this.clock.advance(0);
    return process;
  }

  /** A whole life: start, everything reacted to, stop. */
  async lives(store?: EventStore, saga?: AnySaga): Promise<Process> {
    const process = await this.started(store, saga);
    await process.runner.stop();
    return process;
  }

  tick(id: string, type = 'Tick', data: object = {}): Promise<unknown> {
    return this.log.append(resource(id), { type, data });
  }

  get said(): readonly string[] {
    return this.log.of('event-').map(({ data }) => (JSON.parse(data) as { what: string }).what);
  }

  get checkpoints(): number {
    return this.log.of('sagacheckpoint-').length;
  }
}

function only({ runner }: Process): SagaStatus {
  const [status] = runner.status();
  if (status === undefined) throw new Error('there is no saga');
  return status;
}

describe('a saga', () => {
  it('meets the events of its streams in order, and does what follows from each', async () => {
    const world = new World();
    await world.tick('a');
    await world.tick('b');
    await world.tick('a');
    await world.tick('a', 'Ignored');
    const process = await world.started();
    await world.tick('b');
    await world.clock.advance(0);
    expect(world.said.toSorted()).toEqual(['a-1', 'a-2', 'b-1', 'b-2']);
    expect(only(process)).toMatchObject({ name: 'counting', state: 'RUNNING', position: String(world.log.log.head), caughtUp: true, behindMs: 0, parked: [] });
    await process.runner.stop();
    expect(only(process).state).toBe('STOPPED');
  });

  it('goes on where it was, with what it knew, after a restart', async () => {
    const world = new World();
    await world.tick('a');
    await world.lives();
    await world.tick('a');
    await world.lives();
    await world.tick('a');
    await world.lives();
    expect(world.said).toEqual(['a-1', 'a-2', 'a-3']);
  });

  it('meets a redelivered event once', async () => {
    const world = new World();
    for (const id of ['a', 'b', 'a']) await world.tick(id);
    await world.lives(redelivering(world.log.reopen(), 3));
    await world.tick('a');
    await world.lives(redelivering(world.log.reopen(), 3));
    expect(world.said.toSorted()).toEqual(['a-1', 'a-2', 'a-3', 'b-1']);
  });

  it('commands as SYSTEM, from within, under a key of its cause', async () => {
    const world = new World();
    const event = await world.log.append(resource('a'), { type: 'Command', data: {} });
    await world.lives();
    expect(world.commands).toEqual([
      {
        commandType: 'PauseWebhookSubscription',
        site,
        actor: { type: 'SYSTEM', id: 'counting' },
        caller: null,
        idempotencyKey: `counting|${event.id}`,
        payload: { instance: resource('a'), seen: 1 },
        correlationId: `corr-${resource('a')}`,
        causationId: event.id,
      },
    ]);
  });
});

describe('a saga whose process dies', () => {
  const scenario = async (world: World): Promise<void> => {
    await world.tick('a');
    await world.tick('b', 'Command');
    await world.tick('a', 'Remind', { atMs: world.clock.now() + 500 });
    await world.tick('c');
    await world.tick('a');
  };
  const effects = async (world: World): Promise<object> => {
    await world.clock.advance(5_000);
    await world.lives();
    return { said: world.said.toSorted(), keys: [...new Set(world.commands.map(({ idempotencyKey, payload }) => `${idempotencyKey} ${JSON.stringify(payload)}`))] };
  };

  it.each([true, false])('at whichever call to the store, has every effect once afterwards (that call reaches the log: %s)', async (reaches) => {
    const undisturbed = new World();
    await scenario(undisturbed);
    const whole = killedAt(undisturbed.log.reopen(), Infinity, true);
    await undisturbed.started(whole);
    await undisturbed.clock.advance(5_000);
    const calls = whole.calls();
    const expected = await effects(undisturbed);
    expect(calls).toBeGreaterThan(8);
    for (let n = 1; n <= calls; n += 1) {
      const world = new World();
      await scenario(world);
      await world.started(killedAt(world.log.reopen(), n, reaches));
      await world.clock.advance(5_000);
      await world.lives();
      expect({ n, ...(await effects(world)) }).toEqual({ n, ...expected });
    }
  });

  it('has not written its checkpoint before its outputs are durable', async () => {
    const world = new World();
    await world.tick('a');
    const { runner } = await world.started(unavailableFor(world.log.reopen(), 'event-', Infinity));
    await world.clock.advance(20_000);
    expect(world.checkpoints).toBe(0);
    await runner.stop();
    expect(world.checkpoints).toBe(0);
    await world.lives();
    expect(world.said).toEqual(['a-1']);
  });
});

describe('a saga with a second owner', () => {
  it('stops with an alarm at its next checkpoint, and nothing is done twice', async () => {
    const world = new World();
    const first = await world.started();
    const second = await world.started();
    await world.tick('a');
    await world.clock.advance(2_000);
    const states = [first, second].map((process) => only(process).state);
    expect(states.toSorted()).toEqual(['RUNNING', 'STOPPED']);
    const [loser, winner] = states[0] === 'STOPPED' ? [first, second] : [second, first];
    expect(loser.alarms).toEqual([expect.objectContaining({ saga: 'counting', alarm: 'second-owner' })]);
    await world.tick('a');
    await world.clock.advance(2_000);
    expect(winner.alarms).toEqual([]);
    expect(world.said).toEqual(['a-1', 'a-2']);
    await Promise.all([loser.runner.stop(), winner.runner.stop()]);
  });
});

describe('a poison input', () => {
  it('parks its instance with an alarm; other instances and other inputs go on', async () => {
    const world = new World();
    await world.tick('a');
    await world.tick('a', 'Poison');
    await world.tick('b');
    await world.tick('a');
    const process = await world.started();
    await world.tick('b');
    await world.clock.advance(0);
    expect(world.said.toSorted()).toEqual(['a-1', 'b-1', 'b-2']);
    expect(process.alarms).toEqual([{ saga: 'counting', alarm: 'instance-parked', instance: resource('a'), detail: 'Error: it can not be read' }]);
    expect(only(process).parked).toEqual([expect.objectContaining({ instance: resource('a'), waiting: 2, dropped: 0 })]);
    await process.runner.stop();
  });

  it('is tried again after a restart, with all that waited behind it, in order', async () => {
    const world = new World();
    for (const type of ['Tick', 'Poison', 'Tick', 'Tick']) await world.tick('a', type);
    const parked = await world.lives();
    await world.tick('a');
    const again = await world.lives();
    expect([only(parked), only(again)].map((status) => status.parked[0]?.waiting)).toEqual([3, 4]);
    const mended = await world.lives(undefined, counting(true));
    expect(only(mended).parked).toEqual([]);
    await world.tick('a');
    await world.lives(undefined, counting(true));
    expect(world.said).toEqual(['a-1', 'a-2', 'a-3', 'a-4', 'a-5', 'a-6']);
  });

  it('whose instance can not even be told parks its stream', async () => {
    const world = new World();
    await world.tick('a');
    await world.tick('b');
    let mended = false;
    const saga: AnySaga = {
      ...counting(),
      instancesOf: ({ stream }) => {
        if (stream === resource('a') && !mended) throw new Error('whose is it?');
        return [stream];
      },
    };
    const process = await world.lives(undefined, saga);
    expect(world.said).toEqual(['b-1']);
    expect(only(process).parked).toEqual([expect.objectContaining({ instance: resource('a') })]);
    mended = true;
    await world.lives(undefined, saga);
    expect(world.said).toEqual(['b-1', 'a-1']);
  });

  it('that is a deadline parks its instance too', async () => {
    const world = new World();
    const saga: AnySaga = { ...counting(), react: (instance, state, input) => (input.kind === 'deadline' ? { state, outputs: [] } : counting().react(instance, state as Counted | null, input)) };
    await world.tick('a', 'Remind', { atMs: world.clock.now() + 1_000 });
    const process = await world.started(undefined, saga);
    await world.clock.advance(10_000);
    expect(process.alarms).toEqual([expect.objectContaining({ alarm: 'instance-parked', instance: resource('a') })]);
    await process.runner.stop();
  });
});

describe("a saga's command that is refused", () => {
  it('parks its instance, not the saga, and is sent again after a restart', async () => {
    const world = new World();
    world.answers = () => refuse('forbidden', 'No.');
    await world.tick('a', 'Command');
    await world.tick('b');
    await world.tick('a');
    const process = await world.lives();
    expect(world.said).toEqual(['b-1']);
    expect(process.alarms).toEqual([expect.objectContaining({ alarm: 'instance-parked', instance: resource('a'), detail: 'Refused: PauseWebhookSubscription was refused: forbidden' })]);
    world.answers = () => undefined;
    await world.lives();
    expect(world.said).toEqual(['b-1', 'a-2']);
    expect(new Set(world.commands.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(1);
  });

  it('because nothing is left to do is done', async () => {
    const world = new World();
    world.answers = () => refuse('not-found', 'It is gone.');
    await world.tick('a', 'Command');
    const process = await world.lives();
    expect(process.alarms).toEqual([]);
    expect(world.commands).toHaveLength(1);
  });

  it('for the moment is sent again until it is not', async () => {
    const world = new World();
    world.answers = () => (world.commands.length < 4 ? refuse('store-unavailable', 'Not now.') : undefined);
    await world.tick('a', 'Command');
    const process = await world.started();
    await world.clock.advance(1_000);
    expect(world.commands).toHaveLength(4);
    await process.runner.stop();
    expect(only(process).parked).toEqual([]);
  });
});

describe('a deadline', () => {
  it('fires at its time: not a millisecond before, and once', async () => {
    const world = new World();
    await world.tick('a', 'Remind', { atMs: world.clock.now() + 7_000 });
    const { runner } = await world.started();
    await world.clock.advance(6_999);
    expect(world.said).toEqual([]);
    await world.clock.advance(1);
    expect(world.said).toEqual(['reminded-1']);
    await world.clock.advance(20_000);
    expect(world.said).toEqual(['reminded-1']);
    await runner.stop();
  });

  it('fires after a restart when its time came in between', async () => {
    const world = new World();
    await world.tick('a', 'Remind', { atMs: world.clock.now() + 7_000 });
    await world.lives();
    await world.clock.advance(60_000);
    expect(world.said).toEqual([]);
    const { runner } = await world.started();
    await world.clock.advance(0);
    expect(world.said).toEqual(['reminded-1']);
    await runner.stop();
  });

  it('fires soon after the clock was set past it, and not while it is set back', async () => {
    const world = new World();
    const atMs = world.clock.now() + 3_600_000;
    await world.tick('a', 'Remind', { atMs });
    const { runner } = await world.started();
    await world.clock.advance(1_000);
    world.clock.setNow(atMs - 7_200_000);
    await world.clock.advance(60_000);
    expect(world.said).toEqual([]);
    world.clock.setNow(atMs);
    await world.clock.advance(5_000);
    expect(world.said).toEqual(['reminded-1']);
    await runner.stop();
  });

  it('does not overtake what stood in the log when it came', async () => {
    const world = new World();
    await world.tick('a', 'Remind', { atMs: world.clock.now() + 1_000 });
    await world.lives();
    await world.tick('a', 'Forget');
    await world.clock.advance(60_000);
    const { runner } = await world.started(late(world.log.reopen(), world.clock, 30_000));
    await world.clock.advance(60_000);
    expect(world.said).toEqual([]);
    await runner.stop();
  });
});

describe('a store in trouble', () => {
  it.each([1, 3, 10])('%i times in a row: what failed is done in the end, once, with one alarm', async (k) => {
    const world = new World();
    const { runner, alarms } = await world.started(unavailableFor(world.log.reopen(), 'event-', k));
    await world.tick('a');
    await world.tick('b');
    await world.clock.advance(25_000);
    expect(world.said.toSorted()).toEqual(['a-1', 'b-1']);
    expect(alarms.map(({ alarm }) => alarm)).toEqual(['store-trouble']);
    await runner.stop();
  });

  it('that loses the answer of a checkpoint makes no second owner of the first', async () => {
    const world = new World();
    let lost = 0;
    const store = world.log.reopen();
    const losing: EventStore = {
      ...unavailableFor(store, 'none', 0),
      append: async (stream, expected, events) => {
        const result = await store.append(stream, expected, events);
        if (!stream.startsWith('sagacheckpoint-') || lost === 2) return result;
        lost += 1;
        throw new OutcomeUnknown('no answer');
      },
    };
    const process = await world.started(losing);
    await world.tick('a');
    await world.clock.advance(5_000);
    await world.tick('a');
    await world.clock.advance(5_000);
    expect(only(process)).toMatchObject({ state: 'RUNNING', why: null });
    expect(world.checkpoints).toBe(2);
    await process.runner.stop();
  });

  it('whose subscription breaks is subscribed to again, from where the saga was', async () => {
    const world = new World();
    const store = world.log.reopen();
    let subscriptions = 0;
    const breaking: EventStore = {
      ...unavailableFor(store, 'none', 0),
      subscribe: async function* (after, filter, signal) {
        subscriptions += 1;
        for await (const batch of store.subscribe(after, filter, signal)) {
          yield batch;
          if (subscriptions < 4) throw new StoreUnavailable('the connection broke');
        }
      },
    };
    const { runner } = await world.started(breaking);
    for (const id of ['a', 'b', 'a']) {
      await world.tick(id);
      await world.clock.advance(1_000);
    }
    expect(subscriptions).toBe(4);
    expect(world.said.toSorted()).toEqual(['a-1', 'a-2', 'b-1']);
    await runner.stop();
  });

  it('stops no stop: what is not durable is done after the next start', async () => {
    const world = new World();
    await world.tick('a');
    const { runner } = await world.started(unavailableFor(world.log.reopen(), '', Infinity));
    await world.clock.advance(1_000);
    await runner.stop();
    await world.lives();
    expect(world.said).toEqual(['a-1']);
  });
});

describe('a checkpoint', () => {
  it('is written at most once a second while little happens', async () => {
    const world = new World();
    const { runner } = await world.started();
    for (let index = 0; index < 40; index += 1) {
      await world.tick('a');
      await world.clock.advance(100);
    }
    expect(world.checkpoints).toBeGreaterThanOrEqual(3);
    expect(world.checkpoints).toBeLessThanOrEqual(5);
    await runner.stop();
  });

  it('is not written for events that change nothing', async () => {
    const world = new World();
    const { runner } = await world.started();
    for (let index = 0; index < 10; index += 1) {
      await world.tick('a', 'Ignored');
      await world.clock.advance(1_000);
    }
    expect(world.checkpoints).toBe(0);
    await runner.stop();
  });

  it('is written per 1,000 events when much happens', async () => {
    const world = new World();
    for (let index = 0; index < 3_500; index += 1) await world.tick(`s${index % 50}`);
    const { runner } = await world.started();
    expect(world.said).toHaveLength(3_500);
    expect(world.checkpoints).toBe(3);
    await runner.stop();
    expect(world.checkpoints).toBe(4);
  });

  it('forgets instances that are over', async () => {
    const world = new World();
    await world.tick('a');
    await world.tick('b');
    await world.lives();
    await world.tick('a', 'Ended');
    await world.lives();
    const process = await world.lives();
    expect(only(process).open).toBe(1);
  });
});

/** The store, except that the first `times` appends to streams that start so fail, and nothing is written. */
function unavailableFor(store: EventStore, prefix: string, times: number): EventStore {
  let failed = 0;
  return {
    append: (stream, expected, events) => {
      if (!stream.startsWith(prefix) || failed >= times) return store.append(stream, expected, events);
      failed += 1;
      return Promise.reject(new StoreUnavailable('the store is away'));
    },
    readStream: (...args) => store.readStream(...args),
    readAll: (...args) => store.readAll(...args),
    subscribe: (...args) => store.subscribe(...args),
    tombstone: (stream) => store.tombstone(stream),
    head: () => store.head(),
    close: () => store.close(),
  };
}

/** The store, except that a subscription brings nothing for a while. */
function late(store: EventStore, clock: SimulatedClock, delayMs: number): EventStore {
  return {
    ...unavailableFor(store, 'none', 0),
    subscribe: async function* (...args) {
      yield { events: [], position: args[0], caughtUp: false };
      await new Promise<void>((resolve) => clock.after(delayMs, resolve));
      yield* store.subscribe(...args);
    },
  };
}
