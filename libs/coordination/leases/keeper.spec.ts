import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createLeaseTable, type LeaseKeeper, type LeaseKeeperParts, LeasesUnreachable, type LeaseStep, type LeaseTable, type LeaseView, startLeaseKeeper } from '#coordination/leases';
import type { Clock } from '#kernel';
import fc from 'fast-check';
import { simulatedClock, type SimulatedClock } from '../../../test/support/simulated-clock.ts';

const partitions = Array.from({ length: 64 }, (_, index) => String(index));

/** Processes around one table, on one simulated time. */
class World {
  readonly time: SimulatedClock = simulatedClock();
  table: LeaseTable = createLeaseTable(this.time);
  readonly running = new Map<string, LeaseKeeper>();
  readonly told: string[] = [];
  /** What the way to the table does to a step; the answer comes over it too. */
  way: (holder: string, step: () => Promise<LeaseView>) => Promise<LeaseView> = (_holder, step) => step();

  readonly #names: readonly string[];
  readonly #twice: string[] = [];

  constructor(names: readonly string[] = partitions) {
    this.#names = names;
  }

  start(holder: string, parts: Partial<LeaseKeeperParts> = {}): LeaseKeeper {
    const keeper = startLeaseKeeper({
      table: { step: (step: LeaseStep) => this.way(holder, () => this.table.step(step)) },
      clock: this.time,
      group: 'partition',
      names: this.#names,
      holder,
      onGained: ({ name }) => {
        this.told.push(`${holder} gained ${name}`);
        this.check();
      },
      onLost: (name) => void this.told.push(`${holder} lost ${name}`),
      drained: () => Promise.resolve(),
      onTrouble: () => undefined,
      ...parts,
    });
    this.running.set(holder, keeper);
    return keeper;
  }

  holdersOf(name: string): readonly string[] {
    return [...this.running].filter(([, keeper]) => keeper.held(name)).map(([holder]) => holder);
  }

  held(holder: string): number {
    return this.#names.filter((name) => this.running.get(holder)?.held(name)).length;
  }

  counts(): readonly number[] {
    return [...this.running.keys()].map((holder) => this.held(holder));
  }

  /** Never two holders. */
  check(): void {
    for (const name of this.#names) {
      const holders = this.holdersOf(name);
      if (holders.length > 1) this.#twice.push(`${name} is held by ${holders.join(' and ')} at ${this.time.monotonicMs()}`);
    }
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      await this.time.advance(Math.min(500, left));
      this.check();
      expect(this.#twice).toEqual([]);
    }
  }

  async stopAll(): Promise<void> {
    const stopped = [...this.running.values()].map((keeper) => keeper.stop());
    await this.time.advance(30_000);
    await Promise.all(stopped);
  }
}

describe('a keeper of leases', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(async () => {
    world.way = (_holder, step) => step();
    await world.stopAll();
  });
  const awayFor = (...holders: readonly string[]): void => {
    world.way = (holder, step) => (holders.includes(holder) ? Promise.reject(new LeasesUnreachable('away')) : step());
  };

  it('takes all when it is alone, once nobody can hold what the table has forgotten', async () => {
    const alone = world.start('a');
    await world.pass(14_000);
    expect(world.counts()).toEqual([0]);
    await world.pass(4_000);
    expect(world.counts()).toEqual([64]);
    expect(alone.members()).toEqual(['a']);
    expect(alone.leases().length).toBe(64);
  });

  it('takes what another gives away within about a second', async () => {
    world.start('a');
    await world.pass(20_000);
    world.start('b');
    let nobodysMs = 0;
    for (let passedMs = 0; passedMs < 10_000; passedMs += 100) {
      await world.pass(100);
      if (world.held('a') + world.held('b') < 64) nobodysMs += 100;
    }
    expect(world.counts()).toEqual([32, 32]);
    expect(nobodysMs).toBeLessThanOrEqual(1_100);
  });

  it('divides fairly among those there are, with as many as must moving when one joins or leaves', async () => {
    world.start('a');
    await world.pass(20_000);
    world.start('b');
    await world.pass(10_000);
    expect(world.counts()).toEqual([32, 32]);
    const before = partitions.map((name) => world.holdersOf(name)[0]);
    world.start('c');
    await world.pass(10_000);
    expect(world.counts()).toEqual([22, 21, 21]);
    expect(partitions.filter((name, index) => world.holdersOf(name)[0] !== before[index]).length).toBe(21);
    await Promise.all([world.running.get('b')?.stop(), world.pass(1)]);
    world.running.delete('b');
    await world.pass(7_000);
    expect(world.counts()).toEqual([32, 32]);
  });

  it('takes over what a process that was killed held, when its leases have run out', async () => {
    world.start('a');
    world.start('b');
    await world.pass(25_000);
    world.running.delete('b');
    awayFor('b');
    await world.pass(11_000);
    expect(world.counts()).toEqual([32]);
    await world.pass(8_000);
    expect(world.counts()).toEqual([64]);
  });

  it('says no at a send from the very moment on which it can no longer rely on a lease', async () => {
    const keeper = world.start('a');
    await world.pass(20_000);
    let renewedMs = 0;
    world.way = (_holder, step) => {
      renewedMs = world.time.monotonicMs();
      return step();
    };
    await world.pass(3_000);
    awayFor('a');
    await world.time.advance(renewedMs + 9_999 - world.time.monotonicMs());
    expect([keeper.held('0'), world.told.includes('a lost 0')]).toEqual([true, false]);
    await world.time.advance(1);
    expect([keeper.held('0'), world.told.includes('a lost 0')]).toEqual([false, true]);
    expect(keeper.leases()).toEqual([]);
  });

  it('does not rely on an answer that comes when the lease may have run out', async () => {
    const lateMs = 5_001;
    world.way = async (_holder, step) => {
      const view = await step();
      await new Promise<void>((resolve) => void world.time.after(lateMs, resolve));
      return view;
    };
    world.start('a');
    await world.pass(60_000);
    expect(world.told).toEqual([]);
  });

  it('relies on a lease from when it asked, not from when it was answered', async () => {
    const keeper = world.start('a');
    await world.pass(20_000);
    let askedMs = 0;
    world.way = async (_holder, step) => {
      askedMs = world.time.monotonicMs();
      const view = await step();
      await new Promise<void>((resolve) => void world.time.after(4_000, resolve));
      awayFor('a');
      return view;
    };
    await world.pass(7_500);
    await world.time.advance(askedMs + 9_999 - world.time.monotonicMs());
    expect(keeper.held('0')).toBe(true);
    await world.time.advance(1);
    expect(keeper.held('0')).toBe(false);
  });

  it('does not rely on a late answer either when it was frozen and its timers have not run', async () => {
    world.start('a', { clock: { ...world.time, after: (delayMs, wake) => world.time.after(delayMs === 5_000 ? 60_000 : delayMs, wake) } });
    world.way = async (_holder, step) => {
      const view = await step();
      await new Promise<void>((resolve) => void world.time.after(5_001, resolve));
      return view;
    };
    await world.pass(60_000);
    expect(world.told).toEqual([]);
  });

  it('loses at once what the table no longer knows as its', async () => {
    const keeper = world.start('a');
    await world.pass(20_000);
    world.way = async (_holder, step) => {
      const { held, members } = await step();
      return { held: held.filter(({ name }) => name !== '7'), members };
    };
    await world.pass(3_500);
    expect([keeper.held('6'), keeper.held('7')]).toEqual([true, false]);
    expect(world.told.filter((line) => line.includes('lost'))).toEqual(['a lost 7']);
  });

  it('measures on the monotonic clock: the wall clock may jump as it likes', async () => {
    world.start('a');
    world.start('b');
    await world.pass(25_000);
    for (const jumpMs of [3_600_000, -7_200_000]) {
      world.time.setNow(world.time.now() + jumpMs);
      await world.pass(20_000);
      expect(world.counts()).toEqual([32, 32]);
    }
    expect(world.told.filter((line) => line.includes('lost'))).toEqual([]);
  });

  it('starts nothing new under a lease it gives up, keeps it until all is drained, and then gives it back', async () => {
    const ends: (() => void)[] = [];
    const keeper = world.start('a', { drained: () => new Promise<void>((resolve) => void ends.push(resolve)) });
    await world.pass(20_000);
    world.start('b');
    await world.pass(30_000);
    expect([world.held('a'), world.held('b'), keeper.leases().length]).toEqual([32, 0, 64]);
    for (const end of ends) end();
    await world.pass(4_000);
    expect([world.held('a'), world.held('b'), keeper.leases().length]).toEqual([32, 32, 32]);
    expect(world.told.filter((line) => line.includes('lost'))).toEqual([]);
    const stopped = keeper.stop();
    await world.pass(1);
    for (const end of ends) end();
    await stopped;
  });

  it('hands over within one renewal when it is stopped, and is no member any more', async () => {
    const first = world.start('a');
    world.start('b');
    await world.pass(25_000);
    const stopped = first.stop();
    await world.pass(1);
    await stopped;
    world.running.delete('a');
    await world.pass(3_500);
    expect(world.counts()).toEqual([64]);
    expect(world.running.get('b')?.members()).toEqual(['b']);
  });

  it('leaves what it has given back to the others while the rest of its work still ends', async () => {
    let end = (): void => undefined;
    const first = world.start('a', { drained: (name) => (name === '0' ? new Promise<void>((resolve) => (end = resolve)) : Promise.resolve()) });
    await world.pass(20_000);
    world.start('b');
    await world.pass(10_000);
    const stopped = first.stop();
    await world.pass(4_000);
    expect([world.held('b'), first.leases().map(({ name }) => name), world.running.get('b')?.members()]).toEqual([63, ['0'], ['b']]);
    end();
    await stopped;
    world.running.delete('a');
    await world.pass(4_000);
    expect(world.held('b')).toBe(64);
  });

  it('ends at its stop also when nobody can be told, without waiting for its leases', async () => {
    const keeper = world.start('a');
    await world.pass(20_000);
    awayFor('a');
    const stopped = keeper.stop();
    await world.pass(1);
    await stopped;
    expect(keeper.held('0')).toBe(false);
  });

  it('goes on without a break when the table is emptied, and lets nobody else in', async () => {
    world.start('a');
    world.start('b');
    await world.pass(25_000);
    world.told.length = 0;
    world.table = createLeaseTable(world.time);
    world.start('c');
    await world.pass(14_000);
    expect(world.told.filter((line) => line.startsWith('c'))).toEqual([]);
    expect(world.held('a') + world.held('b')).toBeGreaterThanOrEqual(42);
    await world.pass(10_000);
    expect(world.counts()).toEqual([22, 21, 21]);
    expect(world.told.filter((line) => line.includes('lost'))).toEqual([]);
  });

  it('says at each try that nobody can be asked', async () => {
    const troubles: string[] = [];
    awayFor('a');
    world.start('a', { onTrouble: (error) => void troubles.push(error.message) });
    await world.pass(3_000);
    expect(troubles.length).toBeGreaterThanOrEqual(3);
    expect(new Set(troubles)).toEqual(new Set(['away']));
  });
});

type Move =
  | { readonly move: 'pass'; readonly ms: number }
  | { readonly move: 'start' }
  | { readonly move: 'stop' | 'kill'; readonly who: number }
  | { readonly move: 'freeze' | 'cut'; readonly who: number; readonly ms: number }
  | { readonly move: 'empty' }
  | { readonly move: 'wall'; readonly byMs: number }
  | { readonly move: 'network'; readonly delayMs: number; readonly lossPercent: number };

const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ move: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 6_000 }) }) },
  { weight: 2, arbitrary: fc.constant({ move: 'start' as const }) },
  { weight: 2, arbitrary: fc.record({ move: fc.constantFrom('stop' as const, 'kill' as const), who: fc.nat(9) }) },
  { weight: 3, arbitrary: fc.record({ move: fc.constantFrom('freeze' as const, 'cut' as const), who: fc.nat(9), ms: fc.integer({ min: 100, max: 25_000 }) }) },
  { weight: 2, arbitrary: fc.constant({ move: 'empty' as const }) },
  { weight: 1, arbitrary: fc.record({ move: fc.constant('wall' as const), byMs: fc.integer({ min: -1e8, max: 1e8 }) }) },
  { weight: 2, arbitrary: fc.record({ move: fc.constant('network' as const), delayMs: fc.constantFrom(0, 200, 3_000, 12_000), lossPercent: fc.constantFrom(0, 20, 60) }) },
);

/** A world where processes freeze and die, and what they send is late, lost, or answered in vain. */
class Chaos extends World {
  readonly #frozenUntilMs = new Map<string, number>();
  readonly #cutUntilMs = new Map<string, number>();
  readonly #stopping: Promise<void>[] = [];
  #started = 0;
  #chance: () => number;
  #network = { delayMs: 0, lossPercent: 0 };

  constructor(chance: () => number) {
    super(partitions.slice(0, 7));
    this.#chance = chance;
    this.way = (holder, step) => this.#carry(holder, step);
  }

  async make(move: Move): Promise<void> {
    switch (move.move) {
      case 'pass': return await this.pass(move.ms);
      case 'start': return void (this.running.size < 4 && this.start(`p${(this.#started += 1)}`, { clock: this.#clockOf(`p${this.#started}`) }));
      case 'stop': return this.#with(move.who, (holder) => void this.#stopping.push(this.running.get(holder)?.stop() ?? Promise.resolve()));
      case 'kill': return this.#with(move.who, (holder) => {
        this.running.delete(holder);
        this.#frozenUntilMs.set(holder, Infinity);
      });
      case 'freeze': return this.#with(move.who, (holder) => void this.#frozenUntilMs.set(holder, this.time.monotonicMs() + move.ms));
      case 'cut': return this.#with(move.who, (holder) => void this.#cutUntilMs.set(holder, this.time.monotonicMs() + move.ms));
      case 'empty': return void (this.table = createLeaseTable(this.time));
      case 'wall': return this.time.setNow(this.time.now() + move.byMs);
      case 'network': return void (this.#network = move);
    }
  }

  /** All is well again: what is stopping has stopped, and everything is held. */
  async settle(): Promise<void> {
    this.#network = { delayMs: 0, lossPercent: 0 };
    this.start('last', { clock: this.#clockOf('last') });
    await this.pass(90_000);
  }

  #with(who: number, act: (holder: string) => void): void {
    const holder = [...this.running.keys()][who % Math.max(1, this.running.size)];
    if (holder !== undefined) act(holder);
  }

  /** Its own start of time, and timers that wait while it is frozen. */
  #clockOf(holder: string): Clock {
    const startMs = Math.floor(this.#chance() * 1e6);
    return {
      now: () => this.time.now(),
      monotonicMs: () => startMs + this.time.monotonicMs(),
      after: (delayMs, wake) => {
        let cancelled = false;
        const due = (): void => {
          const frozenMs = (this.#frozenUntilMs.get(holder) ?? 0) - this.time.monotonicMs();
          if (cancelled || frozenMs === Infinity) return;
          if (frozenMs > 0) this.time.after(frozenMs, due);
          else wake();
        };
        this.time.after(delayMs, due);
        return () => {
          cancelled = true;
        };
      },
    };
  }

  async #carry(holder: string, step: () => Promise<LeaseView>): Promise<LeaseView> {
    await this.#hop(holder);
    const view = await step();
    await this.#hop(holder);
    const frozenMs = (this.#frozenUntilMs.get(holder) ?? 0) - this.time.monotonicMs();
    if (frozenMs > 0) await new Promise<void>((resolve) => void this.time.after(Math.min(frozenMs, 1e9), resolve));
    return view;
  }

  /** Arrives, some time or never. */
  async #hop(holder: string): Promise<void> {
    const delayMs = this.#chance() * this.#network.delayMs;
    if (delayMs > 0) await new Promise<void>((resolve) => void this.time.after(delayMs, resolve));
    const cut = (this.#cutUntilMs.get(holder) ?? 0) > this.time.monotonicMs();
    if (cut || this.#chance() * 100 < this.#network.lossPercent) throw new LeasesUnreachable('lost on the way');
  }
}

describe('whatever happens', () => {
  it('no lease has two holders as each judges by its own clock, and all are held again once all is well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(moves, { minLength: 10, maxLength: 60 }), fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })), async (script, dice) => {
        const world = new Chaos(() => dice.next().value as number);
        for (const move of script) await world.make(move);
        await world.settle();
        const held = world.counts().filter((count) => count > 0);
        expect(held.reduce((sum, count) => sum + count, 0)).toBe(7);
        expect(Math.max(...held) - Math.min(...held)).toBeLessThanOrEqual(1);
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});
