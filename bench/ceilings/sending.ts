import { startProgram } from '../../test/support/program.ts';
import { inTurns, type Work } from '../figure.ts';
import type { Run } from '../run.ts';
import { bodyBytes, filler } from '../text.ts';
import type { SendOrder } from './bare-sender.ts';

const signingSecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const sizes = { full: { requests: 20_000, tried: 5_000 }, short: { requests: 300, tried: 100 } };

/** The most that can be delivered: one sender that does nothing but sign and send, to the same receiver. */
export interface SendingCeiling {
  readonly work: Work;
  end(): Promise<void>;
}

/** Tries with how many connections it is fastest, and is measured with so many. */
export async function startSendingCeiling({ receiver, isShort }: Run): Promise<SendingCeiling> {
  const { requests, tried } = sizes[isShort ? 'short' : 'full'];
  const sender = startProgram(new URL('./bare-sender.ts', import.meta.url));
  const says = <Key extends string>(key: Key): Promise<Record<Key, number>> => sender.message((message: object): message is Record<Key, number> => key in message);
  await says('ready');
  const send = async (connections: number, count: number): Promise<number> => {
    const order: SendOrder = { url: receiver.url('ok', 'ceiling'), connections, requests: count, maxMs: 60_000, body: filler(bodyBytes), signingSecret };
    const sent = says('sent');
    sender.send(order);
    return (await sent).sent;
  };
  const work = (connections: number, count: number): Work => ({ name: `bare undici, both signatures, ${connections} connections`, of: sender, do: () => send(connections, count) });
  const choices = [16, 64, 128];
  const speeds = await inTurns({ warm: 1, counted: 1 }, choices.map((connections) => work(connections, tried)));
  const fastest = speeds.reduce((best, figure, index) => ((figure.perSecond ?? 0) > (speeds[best]?.perSecond ?? 0) ? index : best), 0);
  return { work: work(choices[fastest] ?? 64, requests), end: () => sender.end() };
}
