import type { Site } from '#kernel';

export const site: Site = { tenant: 'kill', environment: 'production' };

/** Always active: every event that is acknowledged must reach each of them. */
export const steady: readonly string[] = Array.from({ length: 14 }, (_, index) => `steady-${index}`);
/** Paused and resumed all the time: an event must reach those that were active at its place in the log. */
export const toggled: readonly string[] = Array.from({ length: 6 }, (_, index) => `toggled-${index}`);

export const eventPattern = 'kill.*';
