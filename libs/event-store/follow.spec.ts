import { describe, expect, it } from '@jest/globals';
import { eventNamed } from '../../test/support/event-store-contract.ts';
import { follow, Growth } from './follow.ts';
import type { EventBatch } from './port.ts';

const event = { ...eventNamed('e'), stream: 'orders-a', revision: 0, position: '1' };

describe('following a log', () => {
  it('misses nothing that is committed between the read that found the end and the wait', async () => {
    const growth = new Growth();
    const answers: EventBatch[] = [{ events: [], position: '0', caughtUp: true }, { events: [event], position: '1', caughtUp: true }];
    const readAll = (): Promise<EventBatch> => {
      growth.announce();
      return Promise.resolve(answers.shift() ?? { events: [], position: '1', caughtUp: true });
    };
    const abort = new AbortController();
    const follower = follow({ readAll }, growth, '0', undefined, abort.signal);
    await follower.next();
    const second = await Promise.race([follower.next(), new Promise<string>((resolve) => setImmediate(resolve, 'never woken'))]);
    expect(second).toMatchObject({ value: { events: [event] } });
    abort.abort();
  });

  it('says nothing twice: growth that brings no new position is no batch', async () => {
    const growth = new Growth();
    let reads = 0;
    const readAll = (): Promise<EventBatch> => {
      reads += 1;
      return Promise.resolve({ events: [], position: reads < 3 ? '0' : '5', caughtUp: true });
    };
    const follower = follow({ readAll }, growth, '0', undefined, new AbortController().signal);
    expect((await follower.next()).value).toMatchObject({ position: '0' });
    const next = follower.next();
    for (let turn = 0; turn < 3; turn += 1) await new Promise<void>((resolve) => setImmediate(() => { growth.announce(); resolve(); }));
    expect((await next).value).toMatchObject({ position: '5' });
    expect(reads).toBe(3);
  });

  it('hands the failure of a read to the one who follows', async () => {
    const follower = follow({ readAll: () => Promise.reject(new Error('gone')) }, new Growth(), '0', undefined, new AbortController().signal);
    await expect(follower.next()).rejects.toThrow('gone');
  });
});
