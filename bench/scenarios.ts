import type { Scenario } from './run.ts';
import { commands } from './scenarios/commands.ts';
import { deliveries } from './scenarios/deliveries.ts';
import { drainOfBacklog } from './scenarios/drain.ts';
import { isolation } from './scenarios/isolation.ts';
import { latency } from './scenarios/latency.ts';
import { log } from './scenarios/log.ts';
import { memory } from './scenarios/memory.ts';
import { publish } from './scenarios/publish.ts';
import { rebuildOfModels } from './scenarios/rebuild.ts';
import { subscriptions } from './scenarios/subscriptions.ts';
import { tenants } from './scenarios/tenants.ts';

/** All that is measured, in the order of the table. */
export const scenarios: readonly Scenario[] = [commands, publish, deliveries, latency, drainOfBacklog, isolation, tenants, rebuildOfModels, memory, subscriptions, log];
