import type { HeldLease, LeaseTable, LeaseView } from '../leases/port.ts';
import type { RedisLink } from './link.ts';
import { script } from './script.ts';

/** Leases in one hash per group: a step is one script, so one round trip, and all of it or nothing. */
export function redisLeaseTable(link: RedisLink, prefix: string): LeaseTable {
  const lua = script('lease-step');
  return {
    step: async ({ group, ...step }) => viewOf(await link.ask((client) => client.eval(lua, 1, `${prefix}:leases:${group}`, JSON.stringify(step)))),
  };
}

function viewOf(answer: unknown): LeaseView {
  const [pairs, members] = answer as readonly [readonly string[], readonly string[]];
  const held: HeldLease[] = [];
  for (let index = 0; index < pairs.length; index += 2) held.push({ name: pairs[index] ?? '', fence: Number(pairs[index + 1]) });
  return { held, members };
}
