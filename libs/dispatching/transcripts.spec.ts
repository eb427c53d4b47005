import { expect, it } from '@jest/globals';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { seededIds } from '../../test/support/seeded-ids.ts';
import { simulatedClock } from '../../test/support/simulated-clock.ts';
import { TranscriptLog } from './transcripts.ts';

it('transcripts of two processes that dispatch at the same time stand in the day’s stream once each', async () => {
  const log = new MemoryLog();
  const clock = simulatedClock();
  const [one, two] = [1, 2].map((seed) => {
    const patience = { clock, signal: new AbortController().signal, onTrouble: () => undefined };
    return new TranscriptLog({ store: createMemoryEventStore(log), clock, ids: seededIds(seed), waitMs: 2, partition: () => 0, patience });
  });
  const written: Promise<void>[] = [];
  for (let n = 0; n < 20; n += 1) {
    for (const [who, transcripts] of [one, two].entries()) written.push(transcripts?.write({ deliveryId: `dlv_${who}`, attempt: n + 1, text: JSON.stringify(`${who}-${n}`) }) ?? Promise.reject(new Error('none')));
    await clock.advance(n % 3);
  }
  await clock.advance(10);
  await Promise.all(written);
  expect([...log.streams.keys()]).toEqual(['transcript-20261121.0']);
  const texts = log.events.flatMap(({ data }) => (JSON.parse(data) as { transcripts: string[] }).transcripts);
  const listed = log.events.flatMap(({ metadata }) => metadata['attempts']?.split(',') ?? []);
  expect(listed).toEqual(texts.map((text) => `dlv_${text.split('-')[0]}:${Number(text.split('-')[1]) + 1}`));
  expect(texts.toSorted()).toEqual([0, 1].flatMap((who) => Array.from({ length: 20 }, (_, n) => `${who}-${n}`)).toSorted());
});
