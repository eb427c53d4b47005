import { curveOver } from '../curve.ts';
import type { Scenario } from '../run.ts';

/** CPU time of an event over the events that were published before it. */
export const log: Scenario = {
  name: 'log',
  about: 'CPU time of an event over logs of 1,000 to 5,000,000 events',
  figures: (run) => curveOver(run, 'events', run.isShort ? [1_000, 2_000] : [1_000, 10_000, 100_000, 1_000_000, 5_000_000], (count) => `an event, in a log of ${count}`),
};
