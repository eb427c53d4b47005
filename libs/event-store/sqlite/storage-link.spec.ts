import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from '@jest/globals';
import type { Answer } from './protocol.ts';
import { StorageLink } from './storage-link.ts';

/** A storage thread that does `reaction` on the first message. */
async function linkTo(reaction: string): Promise<{ link: StorageLink; lost: string[]; answers: Answer[]; ask: () => void; ended: Promise<unknown> }> {
  const source = `const { parentPort } = require('node:worker_threads'); parentPort.once('message', () => { ${reaction} }); parentPort.postMessage('ready');`;
  const worker = new Worker(source, { eval: true });
  await once(worker, 'message');
  const lost: string[] = [];
  const answers: Answer[] = [];
  const link = new StorageLink(worker, { onAnswers: () => undefined, onCopying: () => undefined, onLost: (reason) => lost.push(reason) });
  const ask = (): void => {
    link.ask({ op: 'append', stream: 'orders-a', expected: -1, events: [] }, (answer) => answers.push(answer));
    link.ask({ op: 'appendEach', appends: [] }, (answer) => answers.push(answer));
    link.ask({ op: 'tombstone', stream: 'orders-a' }, (answer) => answers.push(answer));
    link.ask({ op: 'readStream', stream: 'orders-a', from: 0, limit: 1 }, (answer) => answers.push(answer));
  };
  return { link, lost, answers, ask, ended: new Promise((resolve) => worker.once('exit', resolve)) };
}

describe('the link to the storage thread', () => {
  it.each([
    ['reports a commit in doubt', `parentPort.postMessage({ kind: 'fatal', reason: 'disk I/O error' }); parentPort.close();`, 'disk I/O error'],
    ['dies of an exception', `throw new Error('out of memory');`, 'Error: out of memory'],
    ['ends without a word', 'parentPort.close();', 'the storage thread ended'],
  ])('when the thread %s: writes are unknown, reads and everything later unavailable, and it is told once', async (_, reaction, reason) => {
    const { link, lost, answers, ask, ended } = await linkTo(reaction);
    ask();
    await ended;
    expect(answers).toEqual([{ refused: 'unknown', reason }, { refused: 'unknown', reason }, { refused: 'unknown', reason }, { refused: 'unavailable', reason }]);
    ask();
    expect(answers.slice(4).map((answer) => 'refused' in answer && answer.refused)).toEqual(['unavailable', 'unavailable', 'unavailable', 'unavailable']);
    await link.close();
    expect(lost).toEqual([reason]);
  });

  it('loses what closing left open, and does not take the end that it asked for as a loss', async () => {
    const { link, lost, answers, ask } = await linkTo('parentPort.close();');
    ask();
    await link.close();
    expect(answers.map((answer) => 'refused' in answer && answer.refused)).toEqual(['unknown', 'unknown', 'unknown', 'unavailable']);
    expect(lost).toEqual([]);
  });
});
