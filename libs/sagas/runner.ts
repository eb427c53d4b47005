import { Follower } from './follower.ts';
import { Origins } from './origins.ts';
import type { SagaRunner, SagaRunnerParts } from './port.ts';
import { SagaWork } from './saga-work.ts';

/**
 * Runs sagas, each by itself with a checkpoint of its own: one that stops or waits holds up no other. One process at a
 * time may own a saga; a second one is noticed at the next checkpoint and the one that notices stops.
 */
export function createSagaRunner(parts: SagaRunnerParts): SagaRunner {
  const origins = parts.origins ?? new Origins(parts.store);
  const followers = parts.sagas.map((saga) => new Follower(parts, new SagaWork(saga, parts, origins)));
  return {
    start: () => {
      for (const follower of followers) follower.start();
    },
    stop: async () => {
      await Promise.all(followers.map((follower) => follower.stop()));
    },
    status: () => followers.map((follower) => follower.status()),
  };
}
