import type { Clock } from '#kernel';
import type { Random } from './random.ts';

/** One simulated process: when it has died, whatever it was waiting for never comes. */
export class SimulatedProcess {
  readonly name: string;
  readonly died: Promise<'died'>;
  dead = false;
  #die: (value: 'died') => void = () => undefined;

  constructor(name: string) {
    this.name = name;
    this.died = new Promise((resolve) => (this.#die = resolve));
  }

  kill(): void {
    this.dead = true;
    this.#die('died');
  }
}

interface Waiting {
  readonly process: SimulatedProcess;
  readonly go: () => void;
}

interface Timer extends Waiting {
  readonly atMs: number;
}

/**
 * Decides, by the seed alone, which of the things that could happen next does: every await of the code under test that
 * leaves the process ends in `step`, and one waiting step goes on at a time. Time passes only when nothing else can happen,
 * or by chance.
 */
export class Scheduler {
  readonly #random: Random;
  readonly #waiting: Waiting[] = [];
  readonly #timers = new Set<Timer>();
  #monotonicMs = 0;
  #wallMs = Date.UTC(2026, 0, 1);

  constructor(random: Random) {
    this.#random = random;
  }

  step(process: SimulatedProcess): Promise<void> {
    return new Promise((go) => this.#waiting.push({ process, go }));
  }

  clockOf(process: SimulatedProcess): Clock {
    return {
      now: () => this.#wallMs,
      monotonicMs: () => this.#monotonicMs,
      after: (delayMs, wake) => {
        const timer: Timer = { process, go: wake, atMs: this.#monotonicMs + Math.max(0, delayMs) };
        this.#timers.add(timer);
        return () => this.#timers.delete(timer);
      },
    };
  }

  /** Lets time pass without anything happening meanwhile: what the setup of a scenario needs. */
  pass(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }

  /** Moves the wall clock alone, as an operator does. */
  setClock(byMs: number): void {
    this.#wallMs += byMs;
  }

  /** One thing happens. False when nothing can: everything that was started has ended or died. */
  async next(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    const index = this.#alive();
    if (index !== undefined && !this.#random.chance(0.02)) {
      this.#waiting.splice(index, 1)[0]?.go();
      return true;
    }
    return this.#fireTimer() || index !== undefined;
  }

  #alive(): number | undefined {
    for (let index = this.#waiting.length - 1; index >= 0; index -= 1) if (this.#waiting[index]?.process.dead === true) this.#waiting.splice(index, 1);
    return this.#waiting.length === 0 ? undefined : this.#random.below(this.#waiting.length);
  }

  #fireTimer(): boolean {
    let first: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.process.dead) this.#timers.delete(timer);
      else if (first === undefined || timer.atMs < first.atMs) first = timer;
    }
    if (first === undefined) return false;
    this.#timers.delete(first);
    this.pass(Math.max(0, first.atMs - this.#monotonicMs));
    first.go();
    return true;
  }
}
