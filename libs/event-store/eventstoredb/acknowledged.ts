import { type Clock, comparePositions, laterPosition, type Position, startOfLog } from '#kernel';

/** How long a healthy subscription may take to show what was just written. */
const shownWithinMs = 250;

export interface AcknowledgedParts {
  readonly clock: Clock;
  /** How far the subscription has shown the log. */
  readonly shown: () => Position;
  /** Those who follow read from the server what was acknowledged and is not shown. */
  readonly wake: () => void;
}

/** How far writes of this process were acknowledged. What the subscription does not show soon wakes those who follow. */
export class Acknowledged {
  readonly #parts: AcknowledgedParts;
  #position: Position = startOfLog;
  #cancel: (() => void) | undefined;

  constructor(parts: AcknowledgedParts) {
    this.#parts = parts;
  }

  /** Nobody in this process is told that the log ends before it. */
  get position(): Position {
    return this.#position;
  }

  add(position: Position): void {
    this.#position = laterPosition(this.#position, position);
    if (this.#cancel === undefined) this.#awaitShown();
  }

  stop(): void {
    this.#cancel?.();
  }

  #awaitShown(): void {
    const { clock, shown, wake } = this.#parts;
    const expected = this.#position;
    this.#cancel = clock.after(shownWithinMs, () => {
      this.#cancel = undefined;
      if (comparePositions(shown(), expected) < 0) wake();
      if (this.#position !== expected) this.#awaitShown();
    });
  }
}
