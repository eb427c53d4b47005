import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  type Append,
  appendBehind,
  appendEach,
  appendInTurn,
  AppendTooLarge,
  type CopyableEventStore,
  type EventBatch,
  type ExpectedRevision,
  Growth,
  maxAppendBytes,
  type SingleAppend,
  StoreUnavailable,
  type StreamFilter,
  StreamTombstoned,
  WrongExpectedRevision,
} from '#event-store';
import { comparePositions, isPosition, type NewEvent, type Position, type RecordedEvent, startOfLog, uuidV5 } from '#kernel';

/** A store of its own for one test, over an empty log. */
export interface OpenedStore {
  readonly store: CopyableEventStore;
  /** Another store over the same log; the one before was closed. */
  reopen(): Promise<CopyableEventStore>;
  /** Lets go of everything; the stores may be open or closed. */
  dispose(): Promise<void>;
}

const namespace = '6f1b0a3e-8a44-4c55-9c0e-6a3f7c1d2b90';

/** An event whose id is a function of its name, so that a repeat has the same. */
export const eventNamed = (name: string, data: string = JSON.stringify({ name }), metadata: Record<string, string> = {}): NewEvent => ({
  id: uuidV5(namespace, name),
  type: 'SomethingHappened',
  data,
  metadata,
});

const namesOf = (events: readonly RecordedEvent[]): string[] => events.map((event) => (JSON.parse(event.data) as { name: string }).name);
const numbered = (prefix: string, count: number): NewEvent[] => Array.from({ length: count }, (_, index) => eventNamed(`${prefix}${index}`));

/** Everything an adapter of the event store port promises, whatever it stores in. */
export function eventStoreContract(name: string, open: () => Promise<OpenedStore>): void {
  describe(`event store contract: ${name}`, () => {
    let opened: OpenedStore;
    let store: CopyableEventStore;

    beforeEach(async () => {
      opened = await open();
      store = opened.store;
    });
    afterEach(async () => {
      await opened.dispose();
    });

    const readAllFrom = async (after: Position, filter?: StreamFilter, limit = 1000): Promise<RecordedEvent[]> => {
      const events: RecordedEvent[] = [];
      for (let batch: EventBatch | undefined; batch?.caughtUp !== true; ) {
        batch = await store.readAll(batch?.position ?? after, filter, limit);
        expect(batch.events.length).toBeLessThanOrEqual(limit);
        events.push(...batch.events);
      }
      return events;
    };
    /** Follows until `enough` says so of everything seen; answers all batches. */
    const follow = async (after: Position, filter: StreamFilter | undefined, enough: (events: readonly RecordedEvent[], batch: EventBatch) => boolean): Promise<EventBatch[]> => {
      const abort = new AbortController();
      const batches: EventBatch[] = [];
      for await (const batch of store.subscribe(after, filter, abort.signal)) {
        batches.push(batch);
        if (enough(eventsOf(batches), batch)) abort.abort();
      }
      return batches;
    };
    const eventsOf = (batches: readonly EventBatch[]): RecordedEvent[] => batches.flatMap((batch) => [...batch.events]);

    describe('append at an expected revision', () => {
      const lengths = [0, 1, 3] as const;
      const expectations: readonly ExpectedRevision[] = ['NO_STREAM', 0, 1, 2, 3];
      for (const length of lengths) {
        for (const expected of expectations) {
          const matches = (expected === 'NO_STREAM' ? -1 : expected) === length - 1;
          it(`${matches ? 'is written' : 'is a conflict'}: expected ${expected}, stream of ${length}`, async () => {
            if (length > 0) await store.append('orders-a', 'NO_STREAM', numbered('old', length));
            const head = await store.head();
            const append = store.append('orders-a', expected, [eventNamed('new')]);
            if (matches) {
              await expect(append).resolves.toMatchObject({ revision: length });
              expect(namesOf(await store.readStream('orders-a')).at(-1)).toBe('new');
              return;
            }
            await expect(append).rejects.toThrow(WrongExpectedRevision);
            await expect(append).rejects.toMatchObject({ stream: 'orders-a', expected, actual: length === 0 ? 'NO_STREAM' : length - 1 });
            expect(await store.readStream('orders-a')).toHaveLength(length);
            expect(await store.head()).toBe(head);
          });
        }
      }

      it('answers the revision and the position of the last event', async () => {
        const answer = await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        const events = await store.readStream('orders-a');
        expect(answer).toEqual({ revision: 2, position: events[2]?.position });
        expect(events.map((event) => event.revision)).toEqual([0, 1, 2]);
        expect(await store.head()).toBe(answer.position);
      });

      it('lets one of many concurrent appends win, and tells the others where the stream is', async () => {
        const answers = await Promise.allSettled(Array.from({ length: 20 }, (_, index) => store.append('orders-a', 'NO_STREAM', [eventNamed(`rival${index}`)])));
        expect(answers.filter((answer) => answer.status === 'fulfilled')).toHaveLength(1);
        for (const answer of answers) if (answer.status === 'rejected') expect(answer.reason).toMatchObject({ name: 'WrongExpectedRevision', actual: 0 });
        expect(await store.readStream('orders-a')).toHaveLength(1);
      });

      it('takes the events of writers who try again where they lost, each once and with no gap', async () => {
        const write = async (writer: number): Promise<void> => {
          for (let written = 0; written < 8; ) {
            const expected = (await store.readStream('orders-a')).at(-1)?.revision ?? 'NO_STREAM';
            written += await store.append('orders-a', expected, [eventNamed(`${writer}.${written}`)]).then(
              () => 1,
              (error: unknown) => {
                expect(error).toBeInstanceOf(WrongExpectedRevision);
                return 0;
              },
            );
          }
        };
        await Promise.all([0, 1, 2, 3].map(write));
        const events = await store.readStream('orders-a');
        expect(events.map((event) => event.revision)).toEqual(Array.from({ length: 32 }, (_, revision) => revision));
        for (const writer of [0, 1, 2, 3]) expect(namesOf(events).filter((name) => name.startsWith(`${writer}.`))).toEqual(Array.from({ length: 8 }, (_, index) => `${writer}.${index}`));
      });

      it('fails an append alone: those sent with it are written', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('first')]);
        const answers = await Promise.allSettled([
          store.append('orders-b', 'NO_STREAM', [eventNamed('b')]),
          store.append('orders-a', 'NO_STREAM', [eventNamed('conflict')]),
          store.append('orders-a', 0, [eventNamed('second')]),
          store.append('orders-c', 7, [eventNamed('no such stream')]),
          store.append('orders-c', 'NO_STREAM', [eventNamed('c')]),
        ]);
        expect(answers.map((answer) => answer.status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected', 'fulfilled']);
        expect(namesOf(await readAllFrom(startOfLog))).toEqual(['first', 'b', 'second', 'c']);
      });
    });

    describe('appends of one event each, together', () => {
      const one = (stream: string, expected: ExpectedRevision, name: string): SingleAppend => ({ stream, expected, event: eventNamed(name) });

      it('end each for itself, and answer in their order', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('first')]);
        await store.append('orders-b', 'NO_STREAM', [eventNamed('b')]);
        await store.tombstone('orders-gone');
        const answers = await appendEach(store, [
          one('orders-a', 0, 'second'),
          one('orders-gone', 'NO_STREAM', 'gone'),
          one('orders-b', 'NO_STREAM', 'b'),
          one('orders-c', 3, 'conflict'),
          one('Orders-d', 'NO_STREAM', 'no stream name'),
          one('orders-e', 'NO_STREAM', 'e'),
        ]);
        expect(answers).toMatchObject([{ revision: 1 }, { name: 'StreamTombstoned' }, { revision: 0 }, { name: 'WrongExpectedRevision', actual: 'NO_STREAM' }, { name: 'TypeError' }, { revision: 0 }]);
        expect(namesOf(await readAllFrom(startOfLog)).sort()).toEqual(['b', 'e', 'first', 'second']);
        expect(namesOf(await store.readStream('orders-a'))).toEqual(['first', 'second']);
      });

      it('are told to those who follow the log, with their positions', async () => {
        const answers = await appendEach(store, Array.from({ length: 300 }, (_, index) => one(`orders-${index}`, 'NO_STREAM', `e${index}`)));
        const events = await readAllFrom(startOfLog);
        expect(answers.map((answer) => (answer instanceof Error ? answer.message : answer.position)).sort(comparePositions)).toEqual(events.map(({ position }) => position));
        await follow(startOfLog, undefined, (all) => all.length === 300);
      });

      it('that none is admitted of write nothing', async () => {
        expect(await appendEach(store, [one('Orders', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'TypeError' }]);
        expect(await appendEach(store, [])).toEqual([]);
        expect(await store.head()).toBe(startOfLog);
      });

      it('are refused after the close', async () => {
        await store.close();
        expect(await appendEach(store, [one('orders-a', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'StoreUnavailable' }]);
      });
    });

    describe('appends in turn', () => {
      const append = (stream: string, expected: ExpectedRevision, ...names: string[]): Append => ({ stream, expected, events: names.map((name) => eventNamed(name)) });

      it('are written in their order, and each is answered', async () => {
        const appends = [append('claims-a', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'first', 'second'), append('orders-a', 1, 'third')];
        const answers = await appendInTurn(store, appends);
        const events = await readAllFrom(startOfLog);
        expect(namesOf(events)).toEqual(['claim', 'first', 'second', 'third']);
        expect(answers).toEqual([{ revision: 0, position: events[0]?.position }, { revision: 1, position: events[2]?.position }, { revision: 2, position: events[3]?.position }]);
        expect(namesOf(await store.readStream('orders-a'))).toEqual(['first', 'second', 'third']);
        await follow(startOfLog, undefined, (all) => all.length === 4);
      });

      it('end with the first that is refused: what is behind it is not written', async () => {
        await store.append('claims-a', 'NO_STREAM', [eventNamed('other')]);
        await store.tombstone('claims-gone');
        expect(await appendInTurn(store, [append('claims-a', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'WrongExpectedRevision', actual: 0 }]);
        expect(await appendInTurn(store, [append('claims-gone', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'StreamTombstoned' }]);
        expect(await appendInTurn(store, [append('Claims', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'TypeError' }]);
        expect(await appendInTurn(store, [append('claims-b', 'NO_STREAM', 'b'), append('orders-a', 3, 'e'), append('orders-b', 'NO_STREAM', 'e')])).toMatchObject([{ revision: 0 }, { name: 'WrongExpectedRevision', actual: 'NO_STREAM' }]);
        expect(await appendInTurn(store, [append('claims-c', 'NO_STREAM', 'c'), append('Orders', 'NO_STREAM', 'e')])).toMatchObject([{ revision: 0 }, { name: 'TypeError' }]);
        expect(namesOf(await readAllFrom(startOfLog))).toEqual(['other', 'b', 'c']);
      });

      it('repeated write what is missing, and nothing twice', async () => {
        const appends = [append('claims-a', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'e')];
        await store.append('claims-a', 'NO_STREAM', appends[0]?.events ?? []);
        for (let repeats = 0; repeats < 2; repeats += 1) expect(await appendInTurn(store, appends)).toMatchObject([{ revision: 0 }, { revision: 0 }]);
        expect(namesOf(await readAllFrom(startOfLog))).toEqual(['claim', 'e']);
      });

      it('are refused after the close; none at all is nothing', async () => {
        expect(await appendInTurn(store, [])).toEqual([]);
        await store.close();
        expect(await appendInTurn(store, [append('claims-a', 'NO_STREAM', 'claim'), append('orders-a', 'NO_STREAM', 'e')])).toMatchObject([{ name: 'StoreUnavailable' }]);
      });
    });

    describe('appends of one event each, behind one that all of them need', () => {
      const one = (stream: string, expected: ExpectedRevision, name: string): SingleAppend => ({ stream, expected, event: eventNamed(name) });
      const others = [one('orders-a', 'NO_STREAM', 'a'), one('orders-b', 3, 'conflict'), one('Orders-c', 'NO_STREAM', 'no stream name'), one('orders-d', 'NO_STREAM', 'd')];
      const ends = [{ revision: 0 }, { name: 'WrongExpectedRevision', actual: 'NO_STREAM' }, { name: 'TypeError' }, { revision: 0 }];

      const behind = async (first: SingleAppend): Promise<readonly unknown[]> => {
        const appended = await appendBehind(store, first, others);
        return [appended.first, await appended.others];
      };

      it('come after it, and end each for itself', async () => {
        expect(await behind(one('notes-a', 'NO_STREAM', 'first'))).toMatchObject([{ revision: 0 }, ends]);
        const [first, ...rest] = namesOf(await readAllFrom(startOfLog));
        expect([first, rest.sort()]).toEqual(['first', ['a', 'd']]);
      });

      it('are written when it stood there before, too', async () => {
        await store.append('notes-a', 'NO_STREAM', [eventNamed('first')]);
        for (let time = 0; time < 2; time += 1) expect(await behind(one('notes-a', 'NO_STREAM', 'first'))).toMatchObject([{ revision: 0 }, ends]);
        expect(await readAllFrom(startOfLog)).toHaveLength(3);
      });

      it.each([
        ['is a conflict', one('notes-a', 'NO_STREAM', 'another'), 'WrongExpectedRevision'],
        ['is to a stream that was removed', one('notes-gone', 'NO_STREAM', 'gone'), 'StreamTombstoned'],
        ['is not admitted', one('Notes-a', 'NO_STREAM', 'no stream name'), 'TypeError'],
      ])('are not written when it %s', async (_, first, name) => {
        await store.append('notes-a', 'NO_STREAM', [eventNamed('first')]);
        await store.tombstone('notes-gone');
        await expect(appendBehind(store, first, others)).rejects.toMatchObject({ name });
        expect(namesOf(await readAllFrom(startOfLog))).toEqual(['first']);
      });

      it('are refused after the close', async () => {
        await store.close();
        await expect(appendBehind(store, one('notes-a', 'NO_STREAM', 'first'), others)).rejects.toMatchObject({ name: 'StoreUnavailable' });
      });
    });

    describe('append again', () => {
      it('is success with the same answer, and writes nothing', async () => {
        const events = numbered('e', 3);
        const first = await store.append('orders-a', 'NO_STREAM', events);
        const again = await store.append('orders-a', 'NO_STREAM', events);
        expect(again.revision).toBe(first.revision);
        expect(comparePositions(again.position, first.position)).toBeGreaterThanOrEqual(0);
        expect(await store.readStream('orders-a')).toHaveLength(3);
      });

      it('is success although the stream has grown since', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('0')]);
        await store.append('orders-a', 0, numbered('e', 2));
        await store.append('orders-a', 2, [eventNamed('later')]);
        await expect(store.append('orders-a', 0, numbered('e', 2))).resolves.toMatchObject({ revision: 2 });
        expect(await store.readStream('orders-a')).toHaveLength(4);
      });

      it('does not compare bodies: the first one stands', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('e', '{"name":"first body"}')]);
        await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('e', '{"name":"other body"}')])).resolves.toMatchObject({ revision: 0 });
        expect(namesOf(await store.readStream('orders-a'))).toEqual(['first body']);
      });

      it('is a conflict with other ids, another order, or more than stands there', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 2));
        const [first, second] = numbered('e', 2) as [NewEvent, NewEvent];
        for (const events of [[second, first], [first, eventNamed('other')], [first, second, eventNamed('more')], [second]]) {
          await expect(store.append('orders-a', 'NO_STREAM', events)).rejects.toThrow(WrongExpectedRevision);
        }
        expect(await store.readStream('orders-a')).toHaveLength(2);
      });

      it('is success for the beginning of what was written there', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        await expect(store.append('orders-a', 'NO_STREAM', numbered('e', 2))).resolves.toMatchObject({ revision: 1 });
      });

      it('writes a known id once more when the expected revision is the current one', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
        await expect(store.append('orders-a', 0, [eventNamed('e')])).resolves.toMatchObject({ revision: 1 });
        expect(namesOf(await store.readStream('orders-a'))).toEqual(['e', 'e']);
      });

      it('meets itself when sent twice at the same time', async () => {
        const answers = await Promise.all([1, 2, 3].map(() => store.append('orders-a', 'NO_STREAM', numbered('e', 2))));
        expect(answers.map((answer) => answer.revision)).toEqual([1, 1, 1]);
        expect(await store.readStream('orders-a')).toHaveLength(2);
      });
    });

    describe('what is written', () => {
      it('comes back byte for byte, as text that was never parsed', async () => {
        const texts = ['{"n":9007199254740993,"d":1.0,"e":1E400}', ' { "white" : "space"\n}\t', '{"a":1,"a":2}', '{"text":"Grüße 日本語 🦉 \u2028 ‮ e\u0301 \\u0000 \\ud800"}', '""', '0'];
        await store.append('orders-a', 'NO_STREAM', texts.map((text, index) => eventNamed(`t${index}`, text)));
        expect((await store.readStream('orders-a')).map((event) => event.data)).toEqual(texts);
        expect((await readAllFrom(startOfLog)).map((event) => event.data)).toEqual(texts);
      });

      it('comes back whole: id, type, metadata, stream', async () => {
        const event: NewEvent = { ...eventNamed('e'), type: 'WebhookSubscriptionPaused', metadata: { actorid: 'Zoë 🦉', recordedat: '2026-01-02T03:04:05.678Z', empty: '' } };
        const { position } = await store.append('webhooksubscription-acme.staging.whs_1', 'NO_STREAM', [event]);
        const recorded = { ...event, stream: 'webhooksubscription-acme.staging.whs_1', revision: 0, position };
        expect(await store.readStream('webhooksubscription-acme.staging.whs_1')).toEqual([recorded]);
        expect((await store.readAll(startOfLog, undefined, 10)).events).toEqual([recorded]);
      });

      it('may be as large as one append may be, and no larger', async () => {
        const room = maxAppendBytes - 2 * 'SomethingHappened'.length - '{}'.length;
        const exact = `"${'x'.repeat(room - 2)}"`;
        await store.append('orders-a', 'NO_STREAM', [eventNamed('fits', exact)]);
        expect((await store.readStream('orders-a'))[0]?.data).toBe(exact);
        await expect(store.append('orders-b', 'NO_STREAM', [eventNamed('over', `${exact} `)])).rejects.toMatchObject({ name: 'AppendTooLarge', bytes: maxAppendBytes + 1 });
        await expect(store.append('orders-b', 'NO_STREAM', [eventNamed('bytes, not characters', `"${'é'.repeat(room / 2)}"`)])).rejects.toThrow(AppendTooLarge);
        const many = Array.from({ length: 10 }, (_, index) => eventNamed(`part${index}`, `"${'x'.repeat(100_000)}"`));
        await expect(store.append('orders-b', 'NO_STREAM', many)).rejects.toThrow(AppendTooLarge);
        expect(await store.readStream('orders-b')).toEqual([]);
      });

      it('passes large events to those who read and follow the log, and none is lost', async () => {
        const large = (index: number): NewEvent => eventNamed(`large${index}`, `"${String(index).repeat(800_000)}"`);
        for (let index = 0; index < 9; index += 1) await store.append(`orders-${index}`, 'NO_STREAM', [large(index)]);
        const expected = Array.from({ length: 9 }, (_, index) => large(index).data);
        expect((await readAllFrom(startOfLog)).map((event) => event.data)).toEqual(expected);
        expect(eventsOf(await follow(startOfLog, { prefixes: ['orders-'] }, (_, batch) => batch.caughtUp)).map((event) => event.data)).toEqual(expected);
      });

      it.each([
        ['metadata with a number', { metadata: { attempt: 1 } }],
        ['nested metadata', { metadata: { actor: { id: 'sam' } } }],
        ['an id that is not a UUID', { id: 'evt_1' }],
        ['an id with capitals', { id: '6F1B0A3E-8A44-4C55-9C0E-6A3F7C1D2B90' }],
        ['no type', { type: '' }],
        ['data that is not Unicode', { data: '"\ud800"' }],
      ])('is refused at the boundary: %s', async (_, flaw) => {
        const event = { ...eventNamed('e'), ...flaw } as NewEvent;
        await expect(store.append('orders-a', 'NO_STREAM', [eventNamed('good'), event])).rejects.toThrow(TypeError);
        expect(await store.readStream('orders-a')).toEqual([]);
      });

      it('is refused without an event, at no revision, and in a stream whose name differs by case alone', async () => {
        await expect(store.append('orders-a', 'NO_STREAM', [])).rejects.toThrow(TypeError);
        await expect(store.append('orders-a', -1, [eventNamed('e')])).rejects.toThrow(TypeError);
        await expect(store.append('orders-a', 0.5, [eventNamed('e')])).rejects.toThrow(TypeError);
        await expect(store.append('orders-A', 'NO_STREAM', [eventNamed('e')])).rejects.toThrow(TypeError);
        await expect(store.append('nocategory', 'NO_STREAM', [eventNamed('e')])).rejects.toThrow(TypeError);
      });
    });

    describe('readStream', () => {
      it('reads from a revision on, and up to a limit', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 5));
        expect(namesOf(await store.readStream('orders-a', 3))).toEqual(['e3', 'e4']);
        expect(namesOf(await store.readStream('orders-a', 1, 2))).toEqual(['e1', 'e2']);
        expect(await store.readStream('orders-a', 5)).toEqual([]);
        expect(await store.readStream('orders-b')).toEqual([]);
      });

      it('keeps streams apart whose names begin alike', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('a')]);
        await store.append('orders-ab', 'NO_STREAM', [eventNamed('ab')]);
        await store.append('orders-a.b', 'NO_STREAM', [eventNamed('a.b')]);
        expect(namesOf(await store.readStream('orders-a'))).toEqual(['a']);
      });

      it('reads a stream of 10,000 events', async () => {
        for (let start = 0; start < 10_000; start += 1000) {
          await store.append('orders-a', start === 0 ? 'NO_STREAM' : start - 1, Array.from({ length: 1000 }, (_, index) => eventNamed(`e${start + index}`)));
        }
        const events = await store.readStream('orders-a');
        expect(events).toHaveLength(10_000);
        expect(events.every((event, index) => event.revision === index)).toBe(true);
        expect(namesOf(await store.readStream('orders-a', 9_998))).toEqual(['e9998', 'e9999']);
        expect((await readAllFrom(startOfLog, undefined, 777)).map((event) => event.revision)).toEqual(events.map((event) => event.revision));
      }, 30_000);
    });

    describe('readAll', () => {
      it('reads the whole log in order, by batches', async () => {
        for (const stream of ['orders-a', 'invoices-a', 'orders-b']) await store.append(stream, 'NO_STREAM', numbered(stream, 3));
        await store.append('orders-a', 2, [eventNamed('last')]);
        const events = await readAllFrom(startOfLog, undefined, 2);
        expect(events.map((event) => `${event.stream}@${event.revision}`)).toEqual([
          ...['orders-a', 'invoices-a', 'orders-b'].flatMap((stream) => [0, 1, 2].map((revision) => `${stream}@${revision}`)),
          'orders-a@3',
        ]);
        const positions = events.map((event) => event.position);
        expect(positions.every((position, index) => index === 0 || comparePositions(positions[index - 1] ?? '', position) < 0)).toBe(true);
        expect(positions.at(-1)).toBe(await store.head());
        // Where they are beyond 2^53, a number between would make two of them equal.
        expect(positions.every(isPosition)).toBe(true);
        for (const [index, position] of positions.entries()) expect((await readAllFrom(position)).map((event) => event.position)).toEqual(positions.slice(index + 1));
      });

      it('goes on after a position, without it', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 4));
        const [, second] = await store.readStream('orders-a');
        expect(namesOf(await readAllFrom(second?.position ?? ''))).toEqual(['e2', 'e3']);
        expect(await store.readAll(await store.head(), undefined, 10)).toEqual({ events: [], position: await store.head(), caughtUp: true });
      });

      it('of an empty log is caught up at the start', async () => {
        expect(await store.head()).toBe(startOfLog);
        expect(await store.readAll(startOfLog, undefined, 10)).toEqual({ events: [], position: startOfLog, caughtUp: true });
      });

      it('stays where it was asked beyond the head', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
        const beyond = String(BigInt(await store.head()) + 1_000n);
        expect(await store.readAll(beyond, undefined, 10)).toEqual({ events: [], position: beyond, caughtUp: true });
      });

      it('says that it is caught up only at the head', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        const two = await store.readAll(startOfLog, undefined, 2);
        expect(two).toMatchObject({ caughtUp: false, position: two.events[1]?.position });
        expect(await store.readAll(startOfLog, undefined, 3)).toMatchObject({ caughtUp: true, position: await store.head() });
      });

      it('passes what starts with a prefix, in log order, each event once, and moves past the rest', async () => {
        const streams = ['orders-acme.a', 'invoices-acme.a', 'orders-beta.a', 'ordersextra-acme.a', 'invoices-beta.a', 'orders-acme.b'];
        for (const stream of streams) await store.append(stream, 'NO_STREAM', [eventNamed(stream)]);
        const streamsOf = async (...prefixes: string[]): Promise<string[]> => (await readAllFrom(startOfLog, { prefixes }, 2)).map((event) => event.stream);
        expect(await streamsOf('orders-')).toEqual(['orders-acme.a', 'orders-beta.a', 'orders-acme.b']);
        expect(await streamsOf('orders-acme.')).toEqual(['orders-acme.a', 'orders-acme.b']);
        expect(await streamsOf('invoices-', 'orders-acme.')).toEqual(['orders-acme.a', 'invoices-acme.a', 'invoices-beta.a', 'orders-acme.b']);
        expect(await streamsOf('orders-acme.', 'orders-', 'orders-')).toEqual(['orders-acme.a', 'orders-beta.a', 'orders-acme.b']);
        expect(await streamsOf('other-')).toEqual([]);
        expect(await streamsOf()).toEqual([]);
        expect(await store.readAll(startOfLog, { prefixes: ['other-'] }, 10)).toEqual({ events: [], position: await store.head(), caughtUp: true });
      });

      it('refuses what is not a position, a limit or a prefix', async () => {
        for (const position of ['-1', '01', '1.5', '', 'x']) await expect(store.readAll(position, undefined, 1)).rejects.toThrow(TypeError);
        for (const limit of [0, -1, 1.5, Number.NaN]) await expect(store.readAll(startOfLog, undefined, limit)).rejects.toThrow(TypeError);
        for (const prefix of ['', 'orders', 'Orders-', '-']) await expect(store.readAll(startOfLog, { prefixes: [prefix] }, 1)).rejects.toThrow(TypeError);
      });
    });

    describe('subscribe', () => {
      it('from the start gives everything in order and says when it has caught up', async () => {
        for (let index = 0; index < 25; index += 1) await store.append(`orders-${index}`, 'NO_STREAM', numbered(`${index}.`, 100));
        const batches = await follow(startOfLog, undefined, (_, batch) => batch.caughtUp);
        expect(eventsOf(batches)).toEqual(await readAllFrom(startOfLog));
        expect(batches.map((batch) => batch.caughtUp)).toEqual([...batches.slice(1).map(() => false), true]);
        expect(batches.length).toBeGreaterThan(1);
      });

      it('from the middle gives what comes after', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 5));
        const [, , third] = await store.readStream('orders-a');
        expect(namesOf(eventsOf(await follow(third?.position ?? '', undefined, (_, batch) => batch.caughtUp)))).toEqual(['e3', 'e4']);
      });

      it('at the head says so at once, and then gives what is appended', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('before')]);
        const head = await store.head();
        const batches = await follow(head, undefined, (events, batch) => {
          if (batch.events.length === 0) void store.append('orders-a', 0, numbered('after', 2));
          return events.length === 2;
        });
        expect(batches[0]).toEqual({ events: [], position: head, caughtUp: true });
        expect(namesOf(eventsOf(batches))).toEqual(['after0', 'after1']);
      });

      it('of an empty log says that it has caught up', async () => {
        expect(await follow(startOfLog, undefined, () => true)).toEqual([{ events: [], position: startOfLog, caughtUp: true }]);
      });

      it('misses nothing while appends go on, and gives every event once', async () => {
        const writing = (async () => {
          for (let index = 0; index < 60; index += 1) await Promise.all([0, 1, 2, 3, 4].map((lane) => store.append(`orders-${lane}.${index}`, 'NO_STREAM', numbered(`${lane}.${index}.`, 2))));
        })();
        const batches = await follow(startOfLog, undefined, (events) => events.length >= 600);
        await writing;
        expect(eventsOf(batches)).toEqual(await readAllFrom(startOfLog));
      });

      it('gives what passes the filter, and moves to the head past what does not', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('order')]);
        await store.append('invoices-a', 'NO_STREAM', [eventNamed('invoice')]);
        const filter = { prefixes: ['orders-'] };
        let asked = false;
        const batches = await follow(startOfLog, filter, (_, batch) => {
          if (asked) return batch.events.length === 0 && batch.caughtUp;
          asked = batch.caughtUp;
          if (asked) void store.append('invoices-b', 'NO_STREAM', [eventNamed('another invoice')]);
          return false;
        });
        expect(namesOf(eventsOf(batches))).toEqual(['order']);
        expect(batches.at(-1)).toEqual({ events: [], position: await store.head(), caughtUp: true });
      });

      it('wakes for what was appended those who asked for its category, not for the time when all are woken', async () => {
        const announced = jest.spyOn(Growth.prototype, 'announce');
        try {
          await follow(startOfLog, { prefixes: ['orders-'] }, (events, batch) => {
            if (batch.caughtUp && events.length === 0) void store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
            return events.length > 0;
          });
          expect(announced.mock.calls.some(([categories]) => categories?.has('orders') ?? true)).toBe(true);
        } finally {
          announced.mockRestore();
        }
      });

      it.each([['all of the log', undefined, 3], ['what passes a filter', { prefixes: ['orders-'] }, 1]] as const)('goes on after a restart in the middle, with nothing missed and nothing twice: %s', async (_, filter, categories) => {
        for (const category of ['orders', 'invoices', 'notes']) {
          for (let index = 0; index < 4; index += 1) await store.append(`${category}-${index}`, 'NO_STREAM', numbered(`${category}${index}.`, 100));
        }
        const seen: RecordedEvent[] = [];
        let position = startOfLog;
        for (let caughtUp = false; !caughtUp; ) {
          for await (const batch of store.subscribe(position, filter, new AbortController().signal)) {
            seen.push(...batch.events);
            ({ position, caughtUp } = batch);
            break;
          }
          store = await opened.reopen();
        }
        expect(seen).toHaveLength(categories * 400);
        expect(seen).toEqual(await readAllFrom(startOfLog, filter));
      });

      it('gives each of several readers everything', async () => {
        await store.append('orders-a', 'NO_STREAM', [eventNamed('0')]);
        const readers = Promise.all([1, 2, 3].map(() => follow(startOfLog, undefined, (events) => events.length === 3)));
        await store.append('orders-a', 0, [eventNamed('1')]);
        await store.append('orders-a', 1, [eventNamed('2')]);
        for (const batches of await readers) expect(namesOf(eventsOf(batches))).toEqual(['0', '1', '2']);
      });

      it('ends when its signal aborts while it waits, is being read, or has not begun', async () => {
        const waiting = new AbortController();
        const iterator = store.subscribe(startOfLog, undefined, waiting.signal)[Symbol.asyncIterator]();
        await iterator.next();
        const pending = iterator.next();
        waiting.abort();
        expect((await pending).done).toBe(true);
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        expect(await follow(startOfLog, undefined, () => true)).toHaveLength(1);
        const never: EventBatch[] = [];
        for await (const batch of store.subscribe(startOfLog, undefined, AbortSignal.abort())) never.push(batch);
        expect(never).toEqual([]);
      });

      it('can be left early', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        for await (const batch of store.subscribe(startOfLog, undefined, new AbortController().signal)) {
          expect(batch.events).toHaveLength(3);
          break;
        }
        await expect(store.append('orders-a', 2, [eventNamed('on')])).resolves.toMatchObject({ revision: 3 });
      });
    });

    describe('tombstone', () => {
      it('removes the events and refuses the name for ever, at any revision', async () => {
        await store.append('secrets-a', 'NO_STREAM', numbered('e', 3));
        await store.append('orders-a', 'NO_STREAM', [eventNamed('stays')]);
        await store.tombstone('secrets-a');
        expect(await store.readStream('secrets-a')).toEqual([]);
        expect(namesOf(await readAllFrom(startOfLog))).toEqual(['stays']);
        for (const expected of ['NO_STREAM', 0, 2] as const) await expect(store.append('secrets-a', expected, [eventNamed('again')])).rejects.toThrow(StreamTombstoned);
        await expect(store.append('secrets-a', 'NO_STREAM', numbered('e', 3))).rejects.toThrow(StreamTombstoned);
        store = await opened.reopen();
        await expect(store.append('secrets-a', 'NO_STREAM', [eventNamed('again')])).rejects.toThrow(StreamTombstoned);
      });

      it('is success a second time, at the same time, and for a stream that never was', async () => {
        await store.append('secrets-a', 'NO_STREAM', [eventNamed('e')]);
        await Promise.all([store.tombstone('secrets-a'), store.tombstone('secrets-a')]);
        await store.tombstone('secrets-a');
        await store.tombstone('secrets-never');
        await expect(store.append('secrets-never', 'NO_STREAM', [eventNamed('e')])).rejects.toThrow(StreamTombstoned);
      });

      it('is told of, also after a restart', async () => {
        expect(await store.removals()).toEqual([]);
        await store.append('secrets-a', 'NO_STREAM', [eventNamed('e')]);
        for (const stream of ['secrets-a', 'secrets-never']) await store.tombstone(stream);
        expect([...(await store.removals())].sort()).toEqual(['secrets-a', 'secrets-never']);
        store = await opened.reopen();
        expect([...(await store.removals())].sort()).toEqual(['secrets-a', 'secrets-never']);
      });

      it('gives no position to a second event, also across a restart', async () => {
        const { position } = await store.append('secrets-a', 'NO_STREAM', [eventNamed('e')]);
        await store.tombstone('secrets-a');
        expect(comparePositions(await store.head(), position)).toBeGreaterThanOrEqual(0);
        const head = await store.head();
        store = await opened.reopen();
        expect(await store.head()).toBe(head);
        const next = await store.append('orders-a', 'NO_STREAM', [eventNamed('next')]);
        expect(comparePositions(next.position, head)).toBeGreaterThan(0);
        expect(namesOf(await readAllFrom(position))).toEqual(['next']);
      });

      it('removes a long stream, while others are appended to', async () => {
        for (let start = 0; start < 3000; start += 1000) await store.append('secrets-a', start === 0 ? 'NO_STREAM' : start - 1, numbered(`e${start}.`, 1000));
        const removal = store.tombstone('secrets-a');
        await Promise.all(Array.from({ length: 50 }, (_, index) => store.append(`orders-${index}`, 'NO_STREAM', [eventNamed(`o${index}`)])));
        await removal;
        expect(await readAllFrom(startOfLog)).toHaveLength(50);
      });

      it('brings a follower to the head', async () => {
        await store.append('secrets-a', 'NO_STREAM', [eventNamed('e')]);
        let removed: Promise<void> | undefined;
        const start = await store.head();
        const batches = await follow(start, undefined, (_, batch) => {
          removed ??= store.tombstone('secrets-a');
          return comparePositions(batch.position, start) > 0;
        });
        await removed;
        expect(batches.at(-1)).toEqual({ events: [], position: await store.head(), caughtUp: true });
      });
    });

    describe('close', () => {
      it('finishes what was asked before, and refuses what is asked after', async () => {
        const append = store.append('orders-a', 'NO_STREAM', [eventNamed('e')]);
        const read = store.readStream('orders-b');
        await store.close();
        await expect(append).resolves.toMatchObject({ revision: 0 });
        await expect(read).resolves.toEqual([]);
        await expect(store.append('orders-a', 0, [eventNamed('late')])).rejects.toThrow(StoreUnavailable);
        await expect(store.readStream('orders-a')).rejects.toThrow(StoreUnavailable);
        await expect(store.readAll(startOfLog, undefined, 1)).rejects.toThrow(StoreUnavailable);
        await expect(store.tombstone('orders-a')).rejects.toThrow(StoreUnavailable);
        await expect(store.head()).rejects.toThrow(StoreUnavailable);
        await expect(store.removals()).rejects.toThrow(StoreUnavailable);
        await store.close();
      });

      it('ends open subscriptions, those that wait and those that read', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        const signal = new AbortController().signal;
        const waiting = (async () => {
          for await (const batch of store.subscribe(startOfLog, undefined, signal)) expect(batch.caughtUp).toBe(true);
          return 'ended';
        })();
        const slow = store.subscribe(startOfLog, undefined, signal)[Symbol.asyncIterator]();
        await slow.next();
        await store.close();
        await expect(waiting).resolves.toBe('ended');
        expect((await slow.next()).done).toBe(true);
      });

      it('and open again goes on where it was: log, revisions, positions, followers', async () => {
        await store.append('orders-a', 'NO_STREAM', numbered('e', 3));
        const [first] = await follow(startOfLog, undefined, (events) => events.length === 3);
        const before = await readAllFrom(startOfLog);
        store = await opened.reopen();
        expect(await readAllFrom(startOfLog)).toEqual(before);
        expect(await store.head()).toBe(before.at(-1)?.position);
        await expect(store.append('orders-a', 'NO_STREAM', numbered('e', 3))).resolves.toMatchObject({ revision: 2 });
        await store.append('orders-a', 2, [eventNamed('after')]);
        expect(namesOf(eventsOf(await follow(first?.position ?? '', undefined, (_, batch) => batch.caughtUp)))).toEqual(['after']);
      });
    });
  });
}
