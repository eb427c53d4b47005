/** What one evaluation may take: parts of the expression evaluated, list elements looked at, and texts of eight characters compared count one each. */
export const maxSteps = 100_000;

/** An evaluation that cannot say true or false, and why. A value, so that `||` can go on past it as the language asks. */
export class Failure {
  readonly why: string;

  constructor(why: string) {
    this.why = why;
  }
}

export const tooMuch = new Failure(`it takes more than ${maxSteps} steps on this event`);

/** One evaluation: what its names stand for, and how much it may still do. */
export class Work {
  /** The event's data, then the elements of the lists that are being gone through, the outermost first. */
  readonly values: unknown[];
  #left = maxSteps;

  constructor(data: unknown) {
    this.values = [data];
  }

  /** False when there are not so many steps left; then there are none at all any more. */
  spend(steps: number): boolean {
    this.#left -= steps;
    return this.#left >= 0;
  }

  get exhausted(): boolean {
    return this.#left < 0;
  }
}
