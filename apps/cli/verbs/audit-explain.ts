import { required } from '../flags.ts';
import { key, name } from '../forms.ts';
import { isRecord, type JsonRecord, listOf, scalar, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { siteVerb } from '../site.ts';
import { factsOf, grid, type Look, paint, sheet, show, told } from '../table.ts';

/** What is known of the event, the subscription as of then and now, what put it there, and the delivery. */
const evidence = ({ event, subscription, because, now, delivery }: JsonRecord, look: Look): string =>
  sheet(look, factsOf(look, { event, subscriptionThen: subscription, putThereBy: because, subscriptionNow: now, delivery }));

const attempts = (body: JsonRecord, look: Look): readonly string[] => {
  const all = listOf(body, 'attempts').filter(isRecord);
  const cell = (item: JsonRecord, member: string): string => show(look, item[member]);
  return all.length === 0 ? [] : [grid(look, ['ATTEMPT', 'STARTED', 'STATUS', 'ERROR', 'DECISION'], all.map((item) => ['attempt', 'startedAt', 'status', 'error', 'decision'].map((member) => cell(item, member))))];
};

const explanation: View = {
  table: (body, look) => {
    const notes = listOf(body, 'notes').flatMap((note) => scalar(note) ?? []);
    return [paint(look, 'bold', told(look, textOf(body, 'sentence') ?? '')), evidence(body, look), ...attempts(body, look), ...notes.map((note) => told(look, note))].join('\n\n');
  },
  essentials: (body) => [textOf(body, 'code') ?? ''],
};

export const explain = siteVerb({
  name: 'explain',
  summary: 'Say why an event was, or was not, delivered to a subscription',
  details:
    'The sentence first, then what it rests on: the event, the subscription as it was when the event was published, what had put it there, the attempts. ' +
    'Attempts are kept for 30 days. Needs the scope site:<site>:audit. With --quiet: the case in one word, such as delivered, paused or pattern-mismatch.',
  examples: ['kf audit explain --site tnt_demo --event-id evt_01k8… --webhook-subscription-id whs_01k8…'],
  flags: {
    eventId: required('--event-id <id>', key, 'the published event'),
    webhookSubscriptionId: required('--webhook-subscription-id <id>', name, 'the subscription'),
  },
  run: async ({ askSite, output }, query) => output.answer(await askSite({ method: 'GET', path: '/api/audit/explanations', query }), explanation),
});
