import { type Labels, maxLabels, wrongHeaders } from '#kernel';
import { argument, optional, repeated, required, toggle } from '../flags.ts';
import { clearable, deliveryMode, eventPattern, filter, header, label, name, rateLimit, retrySchedule, revision, signingSecretRef, targetUrl, text, timeoutMs, wholeNumber, yesOrNo } from '../forms.ts';
import { canAsk, confirmed, readSecretLine } from '../input.ts';
import { Failed, UsageError } from '../io.ts';
import { pageFlags, pageQuery, printPage } from '../pages.ts';
import { operatorVerb, type SiteSession, siteVerb } from '../site.ts';
import { show } from '../table.ts';
import type { Part } from '../verb.ts';
import { changeView, inOneLine, secretOf, subscriptionFacts, subscriptionList, subscriptionView } from './subscription-view.ts';

export const secretFromStdin = 'read the signing secret reference from standard input: managed, whsec_…, env:KF_WEBHOOK_SECRET_<NAME> or file:<name>';
const events = 'which events: comma-separated without blanks; between dots a-z, 0-9, _ and -, or * for one segment, ** for any number';
export const filterAbout = 'which of these events, by their data: an expression of CEL (https://cel.dev) such as data.amount >= 100, at most 1000 characters';
export const timeout = 'how long one request may take as a whole, in milliseconds: 1000 to 30000';
export const retries = 'the pause before each attempt, such as 0s,5s,5m: 1 to 30 attempts, the first 0s, at most 7d between two';
export const rate = 'requests in a second, retries among them, evenly spaced: 1 to 1000';
export const labelAbout = 'what your people call it by; at most 20';
export const headerAbout = 'a header that every request has too; at most 20, 4096 bytes of names and values together; the value is a secret, which is sealed and shown nowhere; reserved are webhook-*, roost-*, proxy-*, x-forwarded-*, cookie and those that HTTP and Countersign set';
const tombstoneMs = 30 * 86_400_000;

export const subscription = argument('id', name, 'the subscription');
export const approvalId = optional('--approval-id <id>', name, 'the approval to use, where one is needed; else one that fits is found');
const ifRevision = optional('--if-revision <n>', revision, 'only when the subscription is at this revision');

/** The labels that flags name; undefined when there are none, null when they are to be taken away. */
export function labelsOf(given: readonly (readonly [name: string, value: string] | null)[]): Labels | null | undefined {
  if (given.length === 0) return undefined;
  const pairs = given.filter((pair) => pair !== null);
  const twice = pairs.find(([name], index) => pairs.findIndex(([other]) => other === name) !== index);
  if (twice !== undefined) throw new UsageError([`--label: ${twice[0]} is given twice; a label has one value`]);
  if (pairs.length > maxLabels) throw new UsageError([`--label: ${pairs.length} are given; at most ${maxLabels} are allowed`]);
  if (pairs.length > 0 && pairs.length < given.length) throw new UsageError(['--label: an empty text takes all labels away, so it stands alone']);
  return pairs.length === 0 ? null : Object.fromEntries(pairs);
}

/** The headers that flags name; undefined when there are none, null when they are to be taken away. No error repeats a value. */
export function headersOf(given: readonly (readonly [name: string, value: string] | null)[]): Readonly<Record<string, string>> | null | undefined {
  if (given.length === 0) return undefined;
  const pairs = given.filter((pair) => pair !== null);
  if (pairs.length > 0 && pairs.length < given.length) throw new UsageError(['--header: an empty text takes all headers away, so it stands alone']);
  const wrong = wrongHeaders(pairs);
  if (wrong !== undefined) throw new UsageError([`--header: the headers ${wrong}`]);
  return pairs.length === 0 ? null : Object.fromEntries(pairs);
}

const changed = changeView('subscription', subscriptionFacts);
export const webhookPath = (id: string): string => `/api/webhooks/${encodeURIComponent(id)}`;

const create = operatorVerb({
  name: 'create',
  summary: 'Subscribe a receiver to events; its signing secret is shown once',
  details: 'It is ACTIVE at once, and signed with a secret that Countersign makes: the answer shows it, this once. With --quiet: the id, and the secret on a second line.',
  examples: ["kf webhook create --site tnt_demo --url https://example.com/hook --events 'version.*,claim.**'", 'kf webhook create --url https://example.com/hook --events claim.filed --delivery-mode ORDERED --quiet'],
  flags: {
    url: required('--url <url>', targetUrl, 'where deliveries go'),
    events: required('--events <csv>', eventPattern, events),
    filter: optional('--filter <expression>', filter, `${filterAbout}; by default all`),
    description: optional('--description <text>', text(1_000), 'what it is for: at most 1000 characters'),
    deliveryMode: optional('--delivery-mode <mode>', deliveryMode, 'AT_LEAST_ONCE (by default), ORDERED (in log order, one at a time) or BEST_EFFORT (one attempt)'),
    timeoutMs: optional('--timeout-ms <n>', timeoutMs, `${timeout}; by default 15000`),
    retrySchedule: optional('--retry-schedule <csv>', retrySchedule, `${retries}; by default the server's`),
    rateLimit: optional('--rate-limit <n>', rateLimit, `${rate}; by default as many as can be`),
    label: repeated('--label <NAME=VALUE>', label, labelAbout),
    header: repeated('--header <NAME=VALUE>', header, headerAbout),
  },
  ask: ({ label: given, header: headers, ...settings }) => ({ method: 'POST', path: '/api/webhooks', commandType: 'UpsertWebhookSubscription', body: { ...settings, events: settings.events.split(','), labels: labelsOf(given), headers: headersOf(headers) } }),
  view: changed,
});

const list = siteVerb({
  name: 'list',
  summary: 'List the subscriptions of a site, the newest first',
  examples: ['kf webhook list --site tnt_demo', 'kf webhook list --include-deleted --output jsonl'],
  flags: { includeDeleted: toggle('--include-deleted', 'also those that were deleted and can still be restored'), label: optional('--label <NAME=VALUE>', label, 'only those with this label'), ...pageFlags },
  run: async (session, { includeDeleted, label: of, ...page }) =>
    printPage(session, await session.askSite({ method: 'GET', path: '/api/webhooks', query: { includeDeleted: includeDeleted ? 'true' : undefined, label: of?.join('='), ...pageQuery(page) } }), subscriptionList),
});

const get = siteVerb({
  name: 'get',
  summary: 'Show one subscription, never its secret',
  examples: ['kf webhook get <id> --site tnt_demo'],
  flags: { id: subscription },
  run: async (session, { id }) => session.output.answer(await session.askSite({ method: 'GET', path: webhookPath(id) }), subscriptionView),
});

const update = operatorVerb({
  name: 'update',
  summary: 'Change what is given of a subscription, and nothing else',
  details: 'All that is given changes in one step. --paused stops deliveries (what is published meanwhile is counted as missed), --paused=false starts them again; it needs what pausing or resuming needs. The secret is changed with rotate-secret only.',
  examples: ['kf webhook update <id> --url https://example.com/new', 'kf webhook update <id> --paused', "kf webhook update <id> --paused=false --events 'claim.**' --if-revision 3"],
  flags: {
    id: subscription,
    url: optional('--url <url>', targetUrl, 'where deliveries go'),
    events: optional('--events <csv>', eventPattern, events),
    filter: optional('--filter <expression>', clearable(filter), `${filterAbout}; an empty text: all again`),
    description: optional('--description <text>', clearable(text(1_000)), 'what it is for: at most 1000 characters; an empty text removes it'),
    deliveryMode: optional('--delivery-mode <mode>', deliveryMode, deliveryMode.expected),
    timeoutMs: optional('--timeout-ms <n>', clearable(timeoutMs), `${timeout}; an empty text: 15000 again`),
    retrySchedule: optional('--retry-schedule <csv>', clearable(retrySchedule), `${retries}; an empty text: the server's again`),
    rateLimit: optional('--rate-limit <n>', clearable(rateLimit), `${rate}; an empty text: as many as can be again`),
    label: repeated('--label <NAME=VALUE>', clearable(label), `${labelAbout}: all of them, what is not given is taken away; an empty text takes all away`),
    header: repeated('--header <NAME=VALUE>', clearable(header), `${headerAbout}: all of them, what is not given is taken away, NAME=[redacted] keeps the value it has; an empty text takes all away`),
    paused: optional('--paused [true|false]', yesOrNo, 'pause it; --paused=false resumes it'),
    ifRevision,
    approvalId,
  },
  ask: ({ id, paused, events: pattern, label: given, header: headers, ifRevision: atRevision, approvalId: approval, ...settings }) => {
    const status = paused === undefined ? undefined : paused ? 'PAUSED' : 'ACTIVE';
    const changes = { ...settings, events: pattern?.split(','), labels: labelsOf(given), headers: headersOf(headers), status };
    if (Object.values(changes).every((change) => change === undefined)) throw new UsageError(['nothing to change: give --url, --events, --filter, --description, --delivery-mode, --timeout-ms, --retry-schedule, --label, --header or --paused']);
    return { method: 'PATCH', path: webhookPath(id), commandType: 'UpsertWebhookSubscription', resourceId: id, approvalId: approval, ifRevision: atRevision, body: { ...changes, approvalId: approval } };
  },
  view: changed,
});

const remove = operatorVerb({
  name: 'delete',
  summary: 'Delete a subscription; for 30 days it can be restored',
  details: 'Shows what would be deleted and asks, on a terminal; elsewhere --yes is required. What was waiting for it is cancelled. It deletes what it showed: not when it was changed meanwhile.',
  examples: ['kf webhook delete <id> --site tnt_demo', 'kf webhook delete <id> --yes'],
  flags: { id: subscription, yes: toggle('--yes', 'do not ask'), ifRevision, approvalId },
  ask: async ({ id, yes, ifRevision: atRevision, approvalId: approval }, session) => {
    if (!yes && !canAsk(session.io)) throw new UsageError(['--yes is required: there is no terminal on which to ask']);
    const shown = yes ? undefined : await confirmedRevision(session, id);
    return { method: 'DELETE', path: webhookPath(id), query: { approvalId: approval }, commandType: 'DeleteWebhookSubscription', resourceId: id, approvalId: approval, ifRevision: atRevision ?? shown };
  },
  view: changed,
});

/** The revision of the subscription that somebody saw and agreed to delete. */
async function confirmedRevision(session: SiteSession, id: string): Promise<number | undefined> {
  const { body } = await session.askSite({ method: 'GET', path: webhookPath(id) });
  const { io, output } = session;
  const until = show(output.asideLook, new Date(io.clock.now() + tombstoneMs).toISOString());
  output.warn(`This deletes ${inOneLine(body, output.asideLook)}. It can be restored until ${until}.`);
  if (!(await confirmed(io, 'Delete it?'))) throw new Failed('not confirmed: nothing was deleted');
  const { revision: shown } = body;
  return typeof shown === 'number' ? shown : undefined;
}

const restore = operatorVerb({
  name: 'restore',
  summary: 'Bring back a deleted subscription, with its secret and as it was',
  details: 'Possible for 30 days after it was deleted. Deliveries that the deletion cancelled stay cancelled: kf webhook recover with --status CANCELLED delivers them all the same.',
  examples: ['kf webhook restore <id> --site tnt_demo'],
  flags: { id: subscription, approvalId },
  ask: ({ id, approvalId: approval }) => ({ method: 'POST', path: `${webhookPath(id)}/restore`, commandType: 'RestoreWebhookSubscription', resourceId: id, approvalId: approval, body: { approvalId: approval } }),
  view: changed,
});

const rotate = operatorVerb({
  name: 'rotate-secret',
  summary: 'Replace the signing secret of a subscription; the new one is shown once',
  details:
    "Needs an approval unless the site's policy says otherwise: then it says what to type next. During the grace time deliveries are signed with both secrets. " +
    'A repetition with the same idempotency key answers no secret. With --quiet: the secret.',
  examples: ['kf webhook rotate-secret <id> --site tnt_demo', 'kf webhook rotate-secret <id> --approval-id <id> --grace-seconds 3600'],
  flags: {
    id: subscription,
    approvalId,
    graceSeconds: optional('--grace-seconds <n>', wholeNumber(0, 604_800), 'how long both secrets sign: 0 to 604800 (7 days), by default 86400 (24 hours)'),
    signingSecretRefStdin: toggle('--signing-secret-ref-stdin', `${secretFromStdin}; by default Countersign makes a new secret`),
  },
  ask: async ({ id, approvalId: approval, graceSeconds, signingSecretRefStdin }, { io }) => {
    const reference = signingSecretRefStdin ? await readSecretLine(io, '--signing-secret-ref-stdin', signingSecretRef) : undefined;
    const body = { approvalId: approval, graceSeconds, signingSecretRef: reference };
    return { method: 'POST', path: `${webhookPath(id)}/rotate-secret`, commandType: 'RotateWebhookSubscriptionSecret', resourceId: id, approvalId: approval, body };
  },
  view: { ...changed, essentials: secretOf },
});

export const subscriptions: readonly Part[] = [create, list, get, update, remove, restore, rotate];
