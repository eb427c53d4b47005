import { formatSite, sleep } from '#kernel';
import { type ActorValues, ownActorFlags, report, send } from '../command.ts';
import { argument, optional, repeated, required, toggle } from '../flags.ts';
import { manyOf, name, oneOf, pastMoment, wholeNumber } from '../forms.ts';
import { NoAnswer, ProblemAnswer } from '../http.ts';
import { Failed, UsageError } from '../io.ts';
import { type JsonRecord, recordOf, textOf } from '../json.ts';
import type { Output } from '../output.ts';
import { type Column, listView, pageFlags, pageQuery, printPage } from '../pages.ts';
import { progressOn, type Step } from '../progress.ts';
import { connectionWords } from '../retry.ts';
import { operatorVerb, type SiteSession, siteVerb } from '../site.ts';
import { factsOf, type Look, sheet, show } from '../table.ts';
import { shellLine } from '../text.ts';
import type { Part } from '../verb.ts';
import { changeView } from './subscription-view.ts';
import { subscription, webhookPath } from './subscriptions.ts';

const recovered = ['DEAD_LETTERED', 'SCHEDULED', 'CANCELLED', 'DELIVERED', 'MISSED'] as const;
const times = 'RFC 3339, or how long ago (30m, 2h, 3d)';
const pollMs = 1_000;
/** So many questions in a row without an answer, and we stop asking: about a minute. */
const patience = 60;

const recoveryFacts = (recovery: JsonRecord, look: Look): readonly (readonly [string, string])[] => {
  const { id, siteId, subscriptionId, status, since, until, statuses, ratePerSecond, total, recovered: done, skipped, ...rest } = recovery;
  const { requestedBy, createdAt, updatedAt, finishedAt, detail } = rest;
  return factsOf(look, { recovery: id, site: siteId, subscription: subscriptionId, status, since, until, statuses, ratePerSecond, total, recovered: done, skipped, requestedBy, createdAt, updatedAt, finishedAt, detail });
};

const recover = operatorVerb({
  name: 'recover',
  summary: 'Deliver again what a receiver missed in a span of time',
  details:
    'A job on the server, which survives its restart: selects deliveries of the subscription by time and status and attempts each once more; MISSED are events that were published while it was paused. ' +
    'By default it recovers DEAD_LETTERED and MISSED. Waits until it is over and shows how far it is; Ctrl-C leaves it running. With --quiet: its id. Exits 1 also when the job was cancelled.',
  examples: ['kf webhook recover <id> --since 2h', 'kf webhook recover <id> --since 2026-11-02T08:00:00Z --until 2026-11-02T09:30:00Z --status DEAD_LETTERED,MISSED --rate 500 --no-wait'],
  flags: {
    id: subscription,
    since: required('--since <time>', pastMoment, `from when on: ${times}`),
    until: optional('--until <time>', pastMoment, `until when, now when omitted: ${times}`),
    status: repeated('--status <statuses>', manyOf(recovered), `which deliveries, separated by commas: ${recovered.join(', ')}; by default DEAD_LETTERED,MISSED`),
    rate: optional('--rate <n>', wholeNumber(1, 10_000), 'how many a second at most: 1 to 10000, by default 100'),
    wait: toggle('--no-wait', 'do not wait until it is over'),
  },
  ask: ({ id, since, until, status, rate }, { io }) => {
    const now = io.clock.now();
    const wanted = [...new Set(status.flat())];
    const span = { since: since(now), until: until?.(now) };
    if (span.until !== undefined && Date.parse(span.since) >= Date.parse(span.until)) throw new UsageError([`--since: expected a time before --until, got ${span.since} and ${span.until}`]);
    const body = { ...span, status: wanted.length === 0 ? undefined : wanted, ratePerSecond: rate };
    return { method: 'POST', path: `${webhookPath(id)}/recover`, commandType: 'RecoverWebhookDeliveries', resourceId: id, body };
  },
  view: changeView('recovery', recoveryFacts),
  after: async (session, { answer }, { wait }) => {
    const recoveryId = textOf(recordOf(answer.body, 'recovery'), 'id');
    if (wait && recoveryId !== undefined) await untilOver(session, recoveryId);
  },
});

/** Waits until a recovery is over. Throws Failed when it was cancelled, and what there was instead of an answer when the server is silent for long. */
async function untilOver(session: SiteSession, recoveryId: string): Promise<void> {
  const { io, output } = session;
  const progress = progressOn(io, output);
  try {
    const recovery = await watched(session, recoveryId, progress.show);
    progress.end();
    conclude(output, recovery);
  } catch (error) {
    progress.end();
    if (error instanceof Failed) throw error;
    (await goesOn(session, recoveryId)).forEach(output.warn);
    // Interrupting is how one stops watching.
    if (!io.signal.aborted) throw error;
  }
}

/** The recovery when it is over. Until then it is shown: as a bar, or where no terminal is, with a line per change. */
async function watched(session: SiteSession, recoveryId: string, show: (step: Step) => void): Promise<JsonRecord> {
  const { io, output } = session;
  for (let told = ''; ; ) {
    const recovery = await recoveryNow(session, recoveryId);
    const step = stepOf(recovery);
    const line = `${count(step.done)} of ${step.total === undefined ? '?' : count(step.total)}${step.more}`;
    if (io.stderr.isTTY !== true && line !== told) output.note(line);
    show(step);
    if (textOf(recovery, 'status') !== 'RUNNING') return recovery;
    told = line;
    await sleep(io.clock, pollMs, io.signal);
  }
}

/** A server that restarts goes on with the job: silence of a moment is no reason to stop. */
async function recoveryNow(session: SiteSession, recoveryId: string): Promise<JsonRecord> {
  for (let silences = 1; ; silences += 1) {
    try {
      return (await session.askSite({ method: 'GET', path: `/api/recoveries/${encodeURIComponent(recoveryId)}` })).body;
    } catch (error) {
      const passing = error instanceof NoAnswer || (error instanceof ProblemAnswer && error.status >= 500);
      if (!passing || silences === patience) throw error;
      await sleep(session.io.clock, pollMs, session.io.signal);
    }
  }
}

const count = (amount: number): string => amount.toLocaleString('en-US');

function stepOf(recovery: JsonRecord): Step {
  const number = (member: string): number | undefined => (typeof recovery[member] === 'number' ? recovery[member] : undefined);
  const skipped = number('skipped') ?? 0;
  return { done: (number('recovered') ?? 0) + skipped, total: number('total'), more: skipped === 0 ? '' : `, ${count(skipped)} of them skipped` };
}

function conclude(output: Output, recovery: JsonRecord): void {
  const status = textOf(recovery, 'status') ?? '';
  const detail = textOf(recovery, 'detail');
  const said = `${textOf(recovery, 'recovered') ?? '?'} recovered, ${textOf(recovery, 'skipped') ?? '?'} skipped${detail === undefined ? '' : `: ${detail}`}`;
  if (status !== 'FINISHED') throw new Failed(`the recovery is ${status}: ${said}`);
  output.note(`Finished: ${said}.`);
}

async function goesOn(session: SiteSession, recoveryId: string): Promise<readonly string[]> {
  const { argv, io } = session;
  const line = (verb: string): string => shellLine([...io.environment.program, 'webhook', verb, recoveryId, ...connectionWords(argv), '--site', site]);
  const site = formatSite(await session.site());
  return ['The recovery goes on. See how far it is, or end it:', `  ${line('recoveries')}`, `  ${line('cancel-recovery')}`];
}

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];
const recoveryList = listView(
  [column('ID', 'id'), column('STATUS', 'status'), column('SUBSCRIPTION', 'subscriptionId'), column('RECOVERED', 'recovered'), column('SKIPPED', 'skipped'), column('TOTAL', 'total'), column('CREATED', 'createdAt'), column('REQUESTED BY', 'requestedBy')],
  'id',
);

const recoveryStatuses = oneOf('RUNNING', 'FINISHED', 'CANCELLED');

const recoveries = siteVerb({
  name: 'recoveries',
  summary: 'List the recoveries of a site, or show one',
  examples: ['kf webhook recoveries --site tnt_demo --status RUNNING', 'kf webhook recoveries <recoveryId>'],
  flags: {
    recoveryId: { ...optional('[recoveryId]', name, 'the recovery; all when omitted'), argument: '[recoveryId]' },
    webhookSubscriptionId: optional('--webhook-subscription-id <id>', name, 'only those of this subscription'),
    status: optional('--status <status>', recoveryStatuses, `only of this status: ${recoveryStatuses.expected}`),
    ...pageFlags,
  },
  run: async (session, { recoveryId, webhookSubscriptionId, status, ...page }) => {
    if (recoveryId === undefined) return printPage(session, await session.askSite({ method: 'GET', path: '/api/recoveries', query: { webhookSubscriptionId, status, ...pageQuery(page) } }), recoveryList);
    const answer = await session.askSite({ method: 'GET', path: `/api/recoveries/${encodeURIComponent(recoveryId)}` });
    session.output.answer(answer, { table: (body, look) => sheet(look, recoveryFacts(body, look)), essentials: (body) => [textOf(body, 'id') ?? ''] });
  },
});

const cancel = siteVerb({
  name: 'cancel-recovery',
  summary: 'End a recovery; what it has recovered stays so',
  examples: ['kf webhook cancel-recovery <recoveryId> --site tnt_demo'],
  flags: { recoveryId: argument('recoveryId', name, 'the recovery'), ...ownActorFlags },
  run: async (session, { recoveryId, ...values }) => {
    const actor: ActorValues = values;
    report(session, await send(session, 'CancelWebhookRecovery', { ...actor, ...(await session.site()) }, { payload: { recoveryId } }));
  },
});

export const recoveryVerbs: readonly Part[] = [recover, recoveries, cancel];
