import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { sleep } from '#kernel';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { type SimulatedClock, simulatedClock } from '../../test/support/simulated-clock.ts';
import { createRoleClaim, type Ending, type RoleAlarm, type RoleClaim } from './role-claim.ts';

const second = 1_000;

/** What becomes of one call to the store. `late`: it takes effect, and is answered, after some seconds. */
type Fault = 'none' | 'unavailable' | 'unknown' | 'lost' | 'late' | 'answered late';

/** Processes over one log, and who of them works. */
class Processes {
  readonly clock: SimulatedClock = simulatedClock();
  readonly log = new MemoryLog();
  readonly store = createMemoryEventStore(this.log);
  readonly working = new Set<string>();
  readonly overlaps: string[] = [];
  readonly alarms: RoleAlarm[] = [];
  readonly fatal: unknown[] = [];
  readonly all: Process[] = [];

  start(name: string, endMs = 0): Process {
    const process = new Process(this, name, endMs, this.all.length + 1);
    this.all.push(process);
    process.claim.start();
    return process;
  }

  names(alarm?: RoleAlarm['alarm']): readonly string[] {
    return this.alarms.filter((one) => alarm === undefined || one.alarm === alarm).map(({ alarm: name }) => name);
  }

  async end(): Promise<void> {
    for (const process of this.all) process.crash();
    await this.clock.advance(60 * second);
  }
}

class Process {
  readonly claim: RoleClaim;
  faults: Fault[] = [];
  isCutOff = false;
  begun = 0;
  readonly ended: Ending[] = [];
  #dead = false;
  /** Its timers do not fire. */
  isSuspended = false;
  readonly #of: Processes;

  constructor(of: Processes, name: string, endMs: number, seed: number) {
    this.#of = of;
    this.claim = createRoleClaim({
      store: this.#storeOf(of.store),
      clock: { ...of.clock, after: (delayMs, wake) => of.clock.after(delayMs, () => (this.#dead || this.isSuspended ? undefined : wake())) },
      ids: seededIds(seed),
      role: 'dispatcher',
      process: name,
      begin: () => {
        this.begun += 1;
        of.working.add(name);
        if (of.working.size > 1) of.overlaps.push([...of.working].join(' and '));
        return async (how) => {
          this.ended.push(how);
          of.working.delete(name);
          await sleep(of.clock, endMs);
        };
      },
      onAlarm: (alarm) => of.alarms.push(alarm),
      onFatal: (error) => of.fatal.push(error),
    });
    this.#name = name;
  }

  readonly #name: string;

  /** `kill -9`: nothing of it happens any more. */
  crash(): void {
    this.#dead = true;
    this.#of.working.delete(this.#name);
  }

  #storeOf(store: EventStore): Pick<EventStore, 'append' | 'readStream' | 'tombstone'> {
    return {
      append: (...args) => this.#call(() => store.append(...args)),
      readStream: (...args) => this.#call(() => store.readStream(...args), StoreUnavailable),
      tombstone: (...args) => this.#call(() => store.tombstone(...args)),
    };
  }

  async #call<T>(work: () => Promise<T>, Unanswered: typeof OutcomeUnknown | typeof StoreUnavailable = OutcomeUnknown): Promise<T> {
    const fault = this.faults.shift() ?? 'none';
    await this.#alive();
    if (this.isCutOff || fault === 'unavailable') throw new StoreUnavailable('away');
    if (fault === 'unknown') throw new Unanswered('no answer');
    // What was sent takes effect although the sender dies.
    await this.#late(fault === 'late');
    const answer = await work();
    await this.#late(fault === 'answered late');
    if (fault === 'lost') throw new Unanswered('no answer');
    await this.#alive();
    return answer;
  }

  /** Never resolves in a dead process. */
  async #alive(): Promise<void> {
    if (this.#dead) await new Promise(() => undefined);
  }

  async #late(isLate: boolean): Promise<void> {
    if (isLate) await sleep(this.#of.clock, 7 * second);
  }
}

let processes: Processes;
beforeEach(() => {
  processes = new Processes();
});
afterEach(async () => {
  await processes.end();
  expect(processes.fatal).toEqual([]);
});

const streams = (): readonly string[] => [...processes.log.streams.keys()].sort();
const typesIn = (stream: string): readonly string[] => (processes.log.streams.get(stream) ?? []).map(({ type }) => type);

describe('a role on a log of several processes', () => {
  it('is taken at once where nobody holds it, and held by heartbeats', async () => {
    const { claim } = processes.start('one');
    expect(claim.status()).toEqual({ role: 'dispatcher', state: 'SEEKING', why: 'it is not known yet whether another process does it' });
    await processes.clock.advance(11 * second);
    expect(claim.status()).toEqual({ role: 'dispatcher', state: 'HELD', why: null });
    expect([...processes.working]).toEqual(['one']);
    expect(typesIn('processclaim-dispatcher')).toEqual(['ProcessClaimed']);
    expect(typesIn('processclaim-dispatcher.0')).toEqual(['ProcessHeartbeat', 'ProcessHeartbeat']);
    expect(processes.alarms).toEqual([]);
  });

  it('is refused to a second process, which says who holds it', async () => {
    processes.start('one');
    await processes.clock.advance(second);
    const two = processes.start('two');
    await processes.clock.advance(600 * second);
    expect([...processes.working]).toEqual(['one']);
    expect(two.claim.status()).toEqual({ role: 'dispatcher', state: 'REFUSED', why: 'another process, one, does it on this log; it is taken over when that one stops, or has written nothing for 15 s' });
    expect(processes.alarms).toEqual([{ alarm: 'role-refused', role: 'dispatcher', detail: two.claim.status().why }]);
  });

  it('goes to one of two that start at the same time', async () => {
    processes.start('one');
    processes.start('two');
    await processes.clock.advance(60 * second);
    expect(processes.working.size).toBe(1);
    expect(processes.overlaps).toEqual([]);
  });

  it('is released at an orderly stop, after its work has ended, and can be taken at once', async () => {
    const one = processes.start('one', 8 * second);
    await processes.clock.advance(second);
    processes.start('two');
    await processes.clock.advance(second);
    const stopped = one.claim.stop();
    await processes.clock.advance(7 * second);
    expect([...processes.working]).toEqual([]);
    await processes.clock.advance(3 * second);
    await stopped;
    expect([...processes.working]).toEqual(['two']);
    expect(one.claim.status().state).toBe('RELEASED');
    await processes.clock.advance(5 * second);
    expect(streams()).toEqual(['processclaim-dispatcher', 'processclaim-dispatcher.2']);
  });

  it('is taken over when the holder was silent for 15 s, not before', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    processes.start('two');
    await processes.clock.advance(5 * second);
    one.crash();
    await processes.clock.advance(13 * second);
    expect([...processes.working]).toEqual([]);
    await processes.clock.advance(3 * second);
    expect([...processes.working]).toEqual(['two']);
  });

  it('is left alone for 15 s by a process that finds the claim of one that died long ago', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    one.crash();
    await processes.clock.advance(3_600 * second);
    processes.start('two');
    await processes.clock.advance(14 * second);
    expect([...processes.working]).toEqual([]);
    await processes.clock.advance(3 * second);
    expect([...processes.working]).toEqual(['two']);
  });

  it('stops being done 10 s after the last heartbeat that was written, and goes on when one can be written again', async () => {
    const one = processes.start('one');
    await processes.clock.advance(6 * second);
    one.isCutOff = true;
    await processes.clock.advance(8_900);
    expect([...processes.working]).toEqual(['one']);
    await processes.clock.advance(200);
    expect([...processes.working]).toEqual([]);
    expect(one.claim.status()).toEqual({ role: 'dispatcher', state: 'SUSPENDED', why: 'no heartbeat could be written for 10 s' });
    await processes.clock.advance(50 * second);
    expect(processes.names()).toEqual(['role-suspended']);
    one.isCutOff = false;
    await processes.clock.advance(8 * second);
    expect([...processes.working]).toEqual(['one']);
    expect(one.claim.status().state).toBe('HELD');
    expect(one.begun).toBe(2);
    const stopped = one.claim.stop();
    await processes.clock.advance(second);
    await stopped;
    expect(one.ended).toEqual(['lost', 'released']);
  });

  it('is lost also while its work is being ended for an orderly stop', async () => {
    const one = processes.start('one', 20 * second);
    await processes.clock.advance(second);
    one.isCutOff = true;
    const stopped = one.claim.stop();
    await processes.clock.advance(8 * second);
    expect(one.ended).toEqual(['released']);
    await processes.clock.advance(2 * second);
    expect(one.ended).toEqual(['released', 'lost']);
    await processes.clock.advance(20 * second);
    await stopped;
    expect(one.ended).toEqual(['released', 'lost']);
  });

  it('is not held 10 s after the last heartbeat, though the process was suspended and its timers have not fired', async () => {
    const one = processes.start('one');
    await processes.clock.advance(6 * second);
    one.isSuspended = true;
    await processes.clock.advance(8_900);
    expect(one.claim.held()).toBe(true);
    await processes.clock.advance(200);
    expect([one.claim.held(), one.claim.status().state]).toEqual([false, 'HELD']);
  });

  it('is not begun again before what was ended is over', async () => {
    const one = processes.start('one', 30 * second);
    await processes.clock.advance(6 * second);
    one.isCutOff = true;
    await processes.clock.advance(10 * second);
    one.isCutOff = false;
    await processes.clock.advance(15 * second);
    expect([one.begun, one.claim.status().state]).toEqual([1, 'SUSPENDED']);
    await processes.clock.advance(20 * second);
    expect([one.begun, one.claim.status().state]).toEqual([2, 'HELD']);
  });

  it('can be begun anew, after a heartbeat', async () => {
    const one = processes.start('one', second);
    await processes.clock.advance(6 * second);
    one.claim.restart();
    await processes.clock.advance(2 * second);
    expect([one.begun, [...processes.working]]).toEqual([1, []]);
    await processes.clock.advance(4 * second);
    expect([one.begun, [...processes.working], one.claim.status().state]).toEqual([2, ['one'], 'HELD']);
  });

  it('stays stopped where another has taken it meanwhile', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    const two = processes.start('two');
    await processes.clock.advance(second);
    one.isCutOff = true;
    await processes.clock.advance(30 * second);
    expect([...processes.working]).toEqual(['two']);
    one.isCutOff = false;
    await processes.clock.advance(60 * second);
    expect([...processes.working]).toEqual(['two']);
    expect(one.claim.status().state).toBe('REFUSED');
    expect(processes.names()).toEqual(['role-refused', 'role-suspended', 'role-lost', 'role-refused']);
    two.crash();
    await processes.clock.advance(20 * second);
    expect([...processes.working]).toEqual(['one']);
    expect(processes.overlaps).toEqual([]);
  });

  it('is not taken on an answer that is older than a heartbeat', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    const two = processes.start('two');
    await processes.clock.advance(10 * second);
    one.isCutOff = true;
    await processes.clock.advance(13_500);
    two.faults = ['none', 'answered late'];
    await processes.clock.advance(second);
    one.isCutOff = false;
    await processes.clock.advance(4 * second);
    expect([...processes.working]).toEqual(['one']);
    await processes.clock.advance(60 * second);
    expect([[...processes.working], processes.overlaps]).toEqual([['one'], []]);
  });

  it('is not taken from a holder that could write nothing because the store was away for all', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    const two = processes.start('two');
    await processes.clock.advance(second);
    one.isCutOff = true;
    two.isCutOff = true;
    await processes.clock.advance(60 * second);
    one.isCutOff = false;
    two.isCutOff = false;
    await processes.clock.advance(60 * second);
    expect([...processes.working]).toEqual(['one']);
    expect(processes.names('role-lost')).toEqual([]);
  });

  it('is not moved by anybody’s wall clock', async () => {
    processes.start('one');
    await processes.clock.advance(second);
    const two = processes.start('two');
    for (const instantMs of [0, Date.UTC(2060, 0, 1), Date.UTC(1999, 0, 1)]) {
      processes.clock.setNow(instantMs);
      await processes.clock.advance(30 * second);
    }
    expect([...processes.working]).toEqual(['one']);
    expect(two.claim.status().state).toBe('REFUSED');
  });

  it('is held through lost answers: the same append again is the same event', async () => {
    const one = processes.start('one');
    one.faults = ['none', 'none', 'lost', 'lost', 'none', 'lost', 'lost'];
    await processes.clock.advance(21 * second);
    expect(typesIn('processclaim-dispatcher')).toEqual(['ProcessClaimed']);
    expect(typesIn('processclaim-dispatcher.0')).toEqual(['ProcessHeartbeat', 'ProcessHeartbeat', 'ProcessHeartbeat', 'ProcessHeartbeat']);
    expect(processes.alarms).toEqual([]);
  });

  it('says that it could not be released', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    one.isCutOff = true;
    const stopped = one.claim.stop();
    await processes.clock.advance(second);
    await stopped;
    expect(processes.alarms).toEqual([{ alarm: 'role-not-released', role: 'dispatcher', detail: 'another process can take it in 15 s' }]);
  });

  it('leaves two events an hour and an hour of heartbeats in the log, however long it is held', async () => {
    const one = processes.start('one');
    await processes.clock.advance(second);
    processes.start('two');
    await processes.clock.advance((6 * 3_605 + 20) * second);
    expect([...processes.working]).toEqual(['one']);
    expect(one.begun).toBe(1);
    expect(typesIn('processclaim-dispatcher')).toEqual(Array.from({ length: 6 + 1 }, () => 'ProcessClaimed'));
    expect(streams()).toEqual(['processclaim-dispatcher', 'processclaim-dispatcher.6']);
    expect(processes.log.events.length).toBeLessThan(7 + 5);
  });

  it('that fails in a way that nobody knows ends the process', async () => {
    const broken = Object.assign(processes.start('one'), { faults: [] });
    broken.crash();
    const fatal: unknown[] = [];
    const error = new TypeError('not known');
    const claim = createRoleClaim({
      store: { ...processes.store, readStream: () => Promise.reject(error), append: () => Promise.reject(error), tombstone: () => Promise.reject(error) },
      clock: processes.clock,
      ids: seededIds(),
      role: 'sagas',
      process: 'x',
      begin: () => () => Promise.resolve(),
      onAlarm: () => undefined,
      onFatal: (cause) => fatal.push(cause),
    });
    claim.start();
    await processes.clock.advance(second);
    expect(fatal).toEqual([error]);
  });
});

const faults: readonly Fault[] = ['none', 'none', 'none', 'none', 'unavailable', 'unknown', 'lost', 'late', 'answered late'];
const deed = fc.oneof(
  fc.record({ do: fc.constantFrom('crash' as const, 'stop' as const, 'start' as const, 'cut off' as const, 'connect' as const) }),
  fc.record({ do: fc.constant('faults' as const), faults: fc.array(fc.constantFrom(...faults), { minLength: 1, maxLength: 12 }) }),
  fc.record({ do: fc.constant('set clock' as const), toMs: fc.integer({ min: 0, max: Date.UTC(2100, 0, 1) }) }),
);
const step = fc.record({ afterMs: fc.integer({ min: 0, max: 20 * second }), who: fc.constantFrom(0, 1), what: deed });

/** Two places in which processes come and go. */
class Places {
  readonly world = new Processes();
  readonly living: (Process | undefined)[] = [this.world.start('first', second), undefined];

  do(who: number, what: typeof deed extends fc.Arbitrary<infer Deed> ? Deed : never): void {
    const process = this.living[who];
    switch (what.do) {
      case 'set clock':
        return this.world.clock.setNow(what.toMs);
      case 'start':
        this.living[who] ??= this.world.start(`process ${this.world.all.length}`, second);
        return;
      case 'cut off':
      case 'connect':
        return void (process && (process.isCutOff = what.do === 'cut off'));
      case 'faults':
        return void (process && (process.faults = [...what.faults]));
      case 'crash':
      case 'stop':
        this.living[who] = undefined;
        if (what.do === 'crash') process?.crash();
        else void process?.claim.stop();
    }
  }
}

describe('any two processes on a log', () => {
  it('never work at the same time, whatever is lost, late, killed, cut off or set, and one of them works soon after all is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const places = new Places();
        const { world, living } = places;
        for (const { afterMs, who, what } of steps) {
          await world.clock.advance(afterMs);
          places.do(who, what);
        }
        living[0] ??= world.start('last', second);
        for (const process of world.all) Object.assign(process, { faults: [], isCutOff: false });
        await world.clock.advance(60 * second);
        expect([world.overlaps, world.fatal, world.working.size]).toEqual([[], [], 1]);
        expect(living.filter((process) => process?.claim.status().state === 'HELD')).toHaveLength(1);
        await world.end();
      }),
      { numRuns: 300 },
    );
  });
});
