import { formatSite, sleep } from '#kernel';
import { commandVerb, siteOf } from '../command.ts';
import { optional, required } from '../flags.ts';
import { eventType, name } from '../forms.ts';
import { ProblemAnswer } from '../http.ts';
import { Failed } from '../io.ts';
import { type JsonRecord, listOf, recordOf, textOf } from '../json.ts';
import type { Session } from '../session.ts';
import { deliveryPath } from './deliveries.ts';
import { transcriptText } from './delivery-view.ts';

const pollMs = 250;
const longestWaitMs = 10_000;

/** One synthetic event to a subscription's own URL. */
export const test = commandVerb({
  name: 'test',
  commandType: 'TestWebhookSubscription',
  summary: "Send one synthetic signed event to a subscription's own URL",
  details:
    'It goes to this subscription alone, whatever its pattern, signed as every delivery of it. Waits up to 10 seconds for the first attempt and shows it. ' +
    'Exits 1 when the receiver did not take it (it is attempted again as any delivery), 0 also when it was not attempted in that time or the subscription is paused. With --quiet: the id of the delivery.',
  examples: ['kf webhook test --tenant tnt_demo --actor-type USER --actor-id usr_sam --webhook-subscription-id <id>', 'kf webhook test --tenant tnt_demo --actor-type USER --actor-id usr_sam --webhook-subscription-id <id> --event version.published'],
  flags: {
    webhookSubscriptionId: required('--webhook-subscription-id <id>', name, 'the subscription'),
    event: optional('--event <type>', eventType, 'the type of the event; webhook.test when omitted'),
  },
  ask: (payload) => ({ payload }),
  essentials: ({ result }) => [textOf(result, 'deliveryId') ?? ''],
  after: async (session, { answer }, { webhookSubscriptionId }, common) => {
    const result = recordOf(answer.body, 'result');
    const deliveryId = textOf(result, 'deliveryId');
    if (deliveryId === undefined) return;
    if (textOf(result, 'status') === 'PAUSED') return session.output.note(`The subscription is PAUSED: delivery ${deliveryId} waits until it is resumed.`);
    const delivery = await attempted(session, { siteId: formatSite(siteOf(common)) }, deliveryPath(webhookSubscriptionId, deliveryId));
    if (delivery === undefined) return session.output.note(`Delivery ${deliveryId} was not attempted within ${longestWaitMs / 1_000} s. See later: kf webhook delivery get ${webhookSubscriptionId} ${deliveryId}`);
    showOutcome(session, delivery);
  },
});

/** The delivery once there was an attempt; undefined when there was none for so long. */
async function attempted({ ask, io }: Session, query: { readonly siteId: string }, path: string): Promise<JsonRecord | undefined> {
  for (let waitedMs = 0; waitedMs < longestWaitMs; waitedMs += pollMs) {
    const delivery = await found(ask({ method: 'GET', path, query }));
    // The transcript is there before what came of the attempt is.
    if (listOf(delivery, 'transcripts').length > 0 && textOf(delivery, 'status') !== 'PENDING') return delivery;
    await sleep(io.clock, pollMs, io.signal);
  }
  return undefined;
}

/** The read model may not have it yet. */
async function found(answer: ReturnType<Session['ask']>): Promise<JsonRecord | undefined> {
  try {
    return (await answer).body;
  } catch (error) {
    if (error instanceof ProblemAnswer && error.slug === 'not-found') return undefined;
    throw error;
  }
}

function showOutcome({ output }: Session, delivery: JsonRecord): void {
  const transcript = listOf(delivery, 'transcripts').at(-1) as JsonRecord;
  output.note(transcriptText(transcript, output.asideLook));
  const response = recordOf(transcript, 'response');
  const status = textOf(delivery, 'status') ?? '';
  if (status === 'DELIVERED') return output.note('The receiver took it.');
  const said = response === undefined ? `no answer came (${textOf(transcript, 'error') ?? 'unknown'})` : `it answered ${textOf(response, 'status') ?? '?'}`;
  throw new Failed(`the receiver did not take it: ${said}; the delivery is ${status} now`);
}
