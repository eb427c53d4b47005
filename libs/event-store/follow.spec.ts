import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import { eventNamed } from '../../test/support/event-store-contract.ts';
import { prefixesOf } from './filter.ts';
import { follow, Growth } from './follow.ts';
import { sliceLog } from './log-slice.ts';
import type { EventBatch, EventStore } from './port.ts';

const event = { ...eventNamed('e'), stream: 'orders-a', revision: 0, position: '1' };

describe('following a log', () => {
  afterEach(() => {
    jest.useRealTimers();
  });

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

  it('wakes whom it concerns at once, and the others for all that came meanwhile', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'queueMicrotask', 'nextTick'] });
    const growth = new Growth();
    const log: RecordedEvent[] = [];
    const reads = { orders: 0, invoices: 0 };
    const following = (category: 'orders' | 'invoices', prefix: string): AsyncGenerator<EventBatch> => {
      const readAll: EventStore['readAll'] = (after, filter, limit) => {
        reads[category] += 1;
        return Promise.resolve(sliceLog(log, String(log.length), after, prefixesOf(filter), limit));
      };
      return follow({ readAll }, growth, '0', { prefixes: [prefix] }, new AbortController().signal);
    };
    const [orders, invoices] = [following('orders', 'orders-acme.'), following('invoices', 'invoices-')];
    await Promise.all([orders.next(), invoices.next()]);
    const late = invoices.next();
    for (let revision = 0; revision < 3; revision += 1) {
      const next = orders.next();
      // It waits again.
      await new Promise((resolve) => setImmediate(resolve));
      log.push({ ...eventNamed(`e${revision}`), stream: 'orders-acme.a', revision, position: String(revision + 1) });
      growth.announce(new Set(['orders']));
      expect((await next).value).toMatchObject({ events: [{ revision }] });
    }
    void orders.next();
    await new Promise((resolve) => setImmediate(resolve));
    expect(reads).toEqual({ orders: 4, invoices: 1 });
    jest.advanceTimersByTime(50);
    expect((await late).value).toEqual({ events: [], position: '3', caughtUp: true });
    expect(reads).toEqual({ orders: 4, invoices: 2 });
    const later = invoices.next();
    await new Promise((resolve) => setImmediate(resolve));
    log.push({ ...eventNamed('e3'), stream: 'orders-acme.a', revision: 3, position: '4' });
    growth.announce(new Set(['orders']));
    jest.advanceTimersByTime(50);
    expect((await later).value).toEqual({ events: [], position: '4', caughtUp: true });
  });

  it('hands the failure of a read to the one who follows', async () => {
    const follower = follow({ readAll: () => Promise.reject(new Error('gone')) }, new Growth(), '0', undefined, new AbortController().signal);
    await expect(follower.next()).rejects.toThrow('gone');
  });
});
