import { describe, expect, it } from '@jest/globals';
import type { Clock } from '#kernel';
import type { PublishedEvent } from '#publishing';
import type { SubscriptionVersion } from '#read-models';
import { Stopping } from './endure.ts';
import { Filtering } from './filtering.ts';

const nasty = 'data.list.exists(a, data.list.exists(b, a == -1 && b == -1))';
const version = (subscriptionId: string, filter: string | null): SubscriptionVersion => ({ site: { tenant: 't', environment: 'production' }, subscriptionId, incarnation: 'i', eventPattern: '**', filter, status: 'ACTIVE', deliveryMode: 'AT_LEAST_ONCE', fromPosition: '0', toPosition: null });
const event = (data: unknown): PublishedEvent => ({ eventId: 'e1', type: 'a.x', tenant: 't', environment: 'production', dataText: JSON.stringify(data), occurredAt: null, recordedAtMs: 0, operational: false, position: '1', stream: 'event-t.production.e1' });

/** A clock on which every look takes 4 ms. `pauses`: how often somebody waited for it. */
class SlowClock implements Clock {
  pauses = 0;
  #ms = 0;
  now = (): number => this.#ms;
  monotonicMs = (): number => (this.#ms += 4);
  after(_delayMs: number, wake: () => void): () => void {
    this.pauses += 1;
    const timer = setImmediate(wake);
    return () => clearImmediate(timer);
  }
}

describe('filtering', () => {
  it('leaves those that want the event, in their order', async () => {
    const filtering = new Filtering(new SlowClock());
    filtering.begin();
    const versions = [version('all', null), version('large', 'data.amount > 100'), version('untold', 'data.sum > 1'), version('unread', 'data.amount >'), version('small', 'data.amount < 100')];
    const wanting = await filtering.wanting(versions, event({ amount: 5 }), new AbortController().signal);
    expect(wanting.map(({ subscriptionId }) => subscriptionId)).toEqual(['all', 'small']);
  });

  it('lets others have their turn every few milliseconds, however many filters do their worst', async () => {
    const clock = new SlowClock();
    const filtering = new Filtering(clock);
    filtering.begin();
    const versions = Array.from({ length: 60 }, (_, index) => version(`whs_${index}`, nasty));
    let turns = 0;
    let done = false;
    const others = (async () => {
      for (; !done; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    })();
    expect(await filtering.wanting(versions, event({ list: Array.from({ length: 20_000 }, (_, index) => index) }), new AbortController().signal)).toEqual([]);
    done = true;
    await others;
    expect(clock.pauses).toBeGreaterThanOrEqual(20);
    expect(turns).toBeGreaterThanOrEqual(20);
  });

  it('can be stopped in between', async () => {
    const filtering = new Filtering(new SlowClock());
    filtering.begin();
    const stopping = new AbortController();
    stopping.abort();
    const versions = Array.from({ length: 10 }, (_, index) => version(`whs_${index}`, 'data.a == 1'));
    await expect(filtering.wanting(versions, event({}), stopping.signal)).rejects.toThrow(Stopping);
  });
});
