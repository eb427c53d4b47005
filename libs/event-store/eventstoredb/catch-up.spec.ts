import streams, { type ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import { describe, expect, it } from '@jest/globals';
import type { EventBatch } from '../port.ts';
import { catchUp } from './catch-up.ts';

const checkpoint = (commit: string, prepare: string): ReadResp => new streams.ReadResp().setCheckpoint(new streams.ReadResp.Checkpoint().setCommitPosition(commit).setPreparePosition(prepare));
const caughtUp = new streams.ReadResp().setCaughtUp(new streams.ReadResp.CaughtUp());

async function batchesOf(after: string, ...messages: ReadResp[]): Promise<EventBatch[]> {
  const batches: EventBatch[] = [];
  const sent = (async function* () {
    for (const message of messages) yield await Promise.resolve(message);
  })();
  for await (const batch of catchUp(sent, after, () => true, () => false)) batches.push(batch);
  return batches;
}

describe('catching up by checkpoints', () => {
  it('moves to a checkpoint', async () => {
    expect(await batchesOf('100', checkpoint('200', '200'), caughtUp)).toEqual([{ events: [], position: '200', caughtUp: false }]);
  });

  it('stays before a record that begins, or will begin, where the checkpoint is: its prepare says that it was not seen', async () => {
    expect(await batchesOf('100', checkpoint('200', '0'), caughtUp)).toEqual([{ events: [], position: '199', caughtUp: false }]);
  });

  it('says nothing of a checkpoint at the position it began with', async () => {
    expect(await batchesOf('100', checkpoint('100', '100'), caughtUp)).toEqual([]);
  });
});
