import { Inject, Injectable } from '@nestjs/common';
import { type Clock, type Position, sleep } from '#kernel';
import { CLOCK, CurrentState, PROJECTIONS, type Projections, ServerFacts } from '../parts.ts';

/** A read model further behind the head than this makes the process not ready. */
const maxBehindMs = 5_000;
const storeAnswersWithinMs = 2_000;

export interface Readiness {
  readonly ready: boolean;
  /** What stands against it, in words. */
  readonly because: readonly string[];
  readonly head: Position | null;
}

/** Whether this process can do its work: the store answers, and the read models are close to the head. */
@Injectable()
export class ReadinessCheck {
  constructor(
    private readonly current: CurrentState,
    @Inject(PROJECTIONS) private readonly projections: Projections,
    private readonly facts: ServerFacts,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async look(): Promise<Readiness> {
    const head = await this.head();
    const behind = this.projections.status().flatMap(({ name, state, behindMs }) => {
      if (state === 'STOPPED') return [`the read model ${name} has stopped`];
      return behindMs > maxBehindMs ? [`the read model ${name} is ${Math.round(behindMs / 1_000)} s behind`] : [];
    });
    const because = [...(this.facts.stopping ? ['the server is stopping'] : []), ...(head === null ? ['the event store does not answer'] : []), ...behind, ...this.facts.troubles()];
    return { ready: because.length === 0, because, head };
  }

  private async head(): Promise<Position | null> {
    const abort = new AbortController();
    try {
      const answered = this.current.head().catch(() => null);
      return await Promise.race([answered, sleep(this.clock, storeAnswersWithinMs, abort.signal).then(() => null)]);
    } finally {
      abort.abort();
    }
  }
}
