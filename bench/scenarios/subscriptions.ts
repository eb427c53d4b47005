import { curveOver } from '../curve.ts';
import type { Scenario } from '../run.ts';

/** CPU time of an event over subscriptions of its own site and first segment that it does not match. */
export const subscriptions: Scenario = {
  name: 'subscriptions',
  about: 'CPU time of an event over 10 to 100,000 subscriptions that it does not match',
  figures: (run) => curveOver(run, 'subscriptions', run.isShort ? [100] : [10, 100, 1_000, 10_000, 100_000], (count) => `an event, beside ${count} that do not match`),
};
