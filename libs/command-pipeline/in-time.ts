import type { Clock, Refusal } from '#kernel';
import { outcomeUnknown } from './claim.ts';

/** An append is repeated for so long. What is left of the command's 10 s is for looking what came of it. */
export const appendsWithinMs = 7_000;
/** A command is answered within 10 s, with some room for the way. */
const answerWithinMs = 9_500;

/** The answer, or in time that the outcome is not known: what is under way then goes on, and a retry finds what came of it. */
export function inTime<T>(clock: Clock, work: Promise<T>): Promise<T | Refusal> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(answerWithinMs, () => resolve(outcomeUnknown()));
    void work.then(resolve, reject).finally(cancel);
  });
}
