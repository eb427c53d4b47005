import { expect, it } from '@jest/globals';
import type { EventStore, SingleAppend } from '#event-store';
import { comparePositions } from '#kernel';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { eventNamed } from '../../test/support/event-store-contract.ts';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { TranscriptLog } from './transcripts.ts';

const outcomeOf = (stream: string): SingleAppend => ({ stream, expected: 'NO_STREAM', event: eventNamed(stream) });

it('transcripts of two processes that dispatch at the same time stand in the day’s stream once each', async () => {
  const log = new MemoryLog();
  const clock = simulatedClock();
  const [one, two] = [1, 2].map((seed) => {
    const patience = { clock, signal: new AbortController().signal, onTrouble: () => undefined };
    return new TranscriptLog({ store: createMemoryEventStore(log), clock, ids: seededIds(seed), waitMs: 2, underWay: () => 1, partition: () => 0, patience });
  });
  const written: Promise<unknown>[] = [];
  for (let n = 0; n < 20; n += 1) {
    for (const [who, transcripts] of [one, two].entries()) {
      const transcript = { deliveryId: `dlv_${who}`, attempt: n + 1, text: JSON.stringify(`${who}-${n}`) };
      written.push(transcripts?.write(transcript, outcomeOf(`webhookdelivery-${who}.${n}`)) ?? Promise.reject(new Error('none')));
    }
    await clock.advance(n % 3);
  }
  await clock.advance(10);
  await Promise.all(written);
  const events = log.events.filter(({ stream }) => stream === 'transcript-20261121.0');
  const outcomes = log.events.filter(({ stream }) => stream.startsWith('webhookdelivery-'));
  expect([outcomes.length, log.events.length]).toEqual([40, 40 + events.length]);
  for (const { stream, position } of outcomes) {
    const [, who, n] = /-(\d)\.(\d+)$/.exec(stream) ?? [];
    const before = events.filter((event) => comparePositions(event.position, position) < 0);
    expect(before.some(({ data }) => data.includes(`"${who}-${n}"`))).toBe(true);
  }
  const texts = events.flatMap(({ data }) => (JSON.parse(data) as { transcripts: string[] }).transcripts);
  const listed = events.flatMap(({ metadata }) => metadata['attempts']?.split(',') ?? []);
  expect(listed).toEqual(texts.map((text) => `dlv_${text.split('-')[0]}:${Number(text.split('-')[1]) + 1}`));
  expect(texts.toSorted()).toEqual([0, 1].flatMap((who) => Array.from({ length: 20 }, (_, n) => `${who}-${n}`)).toSorted());
});

it('the transcript of the last request that is under way waits for no other', async () => {
  const log = new MemoryLog();
  const clock = simulatedClock();
  const patience = { clock, signal: new AbortController().signal, onTrouble: () => undefined };
  let underWay = 1;
  const transcripts = new TranscriptLog({ store: createMemoryEventStore(log), clock, ids: seededIds(1), waitMs: 2, underWay: () => underWay, partition: () => 0, patience });
  const write = (n: number): Promise<unknown> => transcripts.write({ deliveryId: 'dlv', attempt: n, text: `${n}` }, outcomeOf(`webhookdelivery-a.${n}`));
  const first = write(1);
  await clock.advance(1);
  expect(log.events).toEqual([]);
  underWay = 0;
  await Promise.all([first, write(2)]);
  expect(log.events.map(({ metadata }) => metadata['attempts'])).toEqual(['dlv:1,dlv:2', undefined, undefined]);
});

it('transcripts do not wait for the outcomes of those before them', async () => {
  const log = new MemoryLog();
  const clock = simulatedClock();
  const inner = createMemoryEventStore(log);
  const store: Pick<EventStore, 'append'> = { append: (stream, ...rest) => (stream.startsWith('webhookdelivery-') ? new Promise(() => undefined) : inner.append(stream, ...rest)) };
  const patience = { clock, signal: new AbortController().signal, onTrouble: () => undefined };
  const transcripts = new TranscriptLog({ store, clock, ids: seededIds(1), waitMs: 2, underWay: () => 0, partition: () => 0, patience });
  for (const attempt of [1, 2]) void transcripts.write({ deliveryId: 'dlv', attempt, text: `${attempt}` }, outcomeOf(`webhookdelivery-a.${attempt}`));
  await clock.advance(10);
  expect(log.events.map(({ metadata }) => metadata['attempts'])).toEqual(['dlv:1', 'dlv:2']);
});
