import { describe, expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { eventNamed, eventStoreContract } from '../../../test/support/event-store-contract.ts';

eventStoreContract('memory', () => {
  const log = new MemoryLog();
  let store = createMemoryEventStore(log);
  return Promise.resolve({
    store,
    reopen: async () => {
      await store.close();
      store = createMemoryEventStore(log);
      return store;
    },
    dispose: () => store.close(),
  });
});

describe('memory event store', () => {
  it('answers within microtasks, so that a simulation decides every order itself', async () => {
    const store = createMemoryEventStore();
    const order: string[] = [];
    setImmediate(() => order.push('next turn'));
    await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
    await store.readStream('orders-a');
    const follower = store.subscribe('0', undefined, new AbortController().signal)[Symbol.asyncIterator]();
    await follower.next();
    order.push('answered');
    expect(order).toEqual(['answered']);
  });

  it('lets two stores over one log see each other, as two processes do', async () => {
    const log = new MemoryLog();
    const [one, other] = [createMemoryEventStore(log), createMemoryEventStore(log)];
    const follower = other.subscribe('0', undefined, new AbortController().signal)[Symbol.asyncIterator]();
    await follower.next();
    const seen = follower.next();
    await one.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
    expect((await seen).value).toMatchObject({ events: [{ stream: 'orders-a' }] });
    await one.close();
    await expect(other.append('orders-a', 0, [eventNamed('f')])).resolves.toMatchObject({ revision: 1 });
  });
});
