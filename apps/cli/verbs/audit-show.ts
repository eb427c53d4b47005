import { argument } from '../flags.ts';
import { key } from '../forms.ts';
import { isRecord, type JsonRecord, listOf, scalar, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { siteVerb } from '../site.ts';
import { grid, type Look, paint, show as shown, told } from '../table.ts';
import { visible } from '../text.ts';

const idMembers = ['resourceId', 'commandId', 'approvalId', 'deliveryId'] as const;

/** The ids of an entry that neither the story's title nor its own sentence names already. */
function idsOf(entry: JsonRecord, title: string, look: Look): string {
  const said = textOf(entry, 'text') ?? '';
  const ids = [...new Set(idMembers.flatMap((member) => textOf(entry, member) ?? []))].filter((id) => id !== title && !said.includes(id));
  return ids.length === 0 ? '' : paint(look, 'dim', ` [${visible(ids.join(' '))}]`);
}

/** One line an entry. The ids stand last, unaligned: sentences are of very different lengths. */
const timeLine = (story: JsonRecord, look: Look): string =>
  grid(
    look,
    ['TIME', 'WHO', 'WHAT [IDS]'],
    listOf(story, 'entries').filter(isRecord).map((entry) => [shown(look, entry['at']), shown(look, entry['actor']), `${told(look, textOf(entry, 'text') ?? '')}${idsOf(entry, textOf(story, 'id') ?? '', look)}`]),
  );

/** What one version of the secret signed, from when until when, and which deliveries that were. */
function signature(version: JsonRecord, look: Look): readonly string[] {
  const [attempts, deliveries] = [Number(version['attempts']), Number(version['deliveries'])];
  const until = version['until'] === null ? '' : ` until ${shown(look, version['until'])}`;
  const named = listOf(version, 'deliveryIds').flatMap((id) => scalar(id) ?? []);
  const title = `Secret version ${shown(look, version['secretVersionId'])} (${shown(look, version['kind'])}), from ${shown(look, version['from'])}${until}, signed ${counted(attempts, 'attempt')} of ${counted(deliveries, 'delivery', 'deliveries')}`;
  const more = deliveries > named.length ? [`  and ${deliveries - named.length} more`] : [];
  return [paint(look, 'bold', title), ...named.map((id) => `  ${visible(id)}`), ...more];
}

const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

const story: View = {
  table: (body, look) => {
    const head = paint(look, 'bold', `${shown(look, body['kind'])} ${shown(look, body['id'])}`);
    const signatures = listOf(body, 'signatures').filter(isRecord).map((version) => signature(version, look).join('\n'));
    return [head, timeLine(body, look), ...signatures].join('\n\n');
  },
  essentials: (body) => listOf(body, 'entries').flatMap((entry) => textOf(entry, 'position') ?? []),
};

export const show = siteVerb({
  name: 'show',
  summary: 'Tell the whole story of one thing',
  details:
    'From the request over votes, command, events and deliveries to each attempt, in the order of the log; at the end which deliveries were signed with which version of the secret. ' +
    'The thing is a command, an approval, a delivery, a published event or a subscription. Attempts are kept for 30 days. Needs the scope site:<site>:audit. With --quiet: the positions of the entries.',
  examples: ['kf audit show apr_01k8… --site tnt_demo', 'kf audit show whs_01k8… --site tnt_demo --json'],
  flags: { id: argument('id', key, 'the id of a command, an approval, a delivery, an event or a subscription') },
  run: async ({ askSite, output }, { id }) => {
    const answer = await askSite({ method: 'GET', path: `/api/audit/stories/${encodeURIComponent(id)}` });
    output.answer(answer, story);
    if (answer.body['truncated'] === true) output.note('The story is longer than one answer tells: kf audit log --resource-id, --approval-id and --correlation-id show the rest.');
  },
});
