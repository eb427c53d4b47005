import { commandVerb, idOf, secretOf } from '../command.ts';
import { optional, repeated, required, toggle } from '../flags.ts';
import { deliveryMode, eventPattern, filter, header, label, name, oneOf, rateLimit, retrySchedule, revision, signingSecretRef, targetUrl, text, timeoutMs, wholeNumber, yesOrNo } from '../forms.ts';
import { readSecretLine } from '../input.ts';
import { group, type Part } from '../verb.ts';
import { deliveries } from './deliveries.ts';
import { listen } from './listen.ts';
import { probe } from './probe.ts';
import { recoveryVerbs } from './recoveries.ts';
import { filterAbout, headerAbout, headersOf, labelAbout, labelsOf, rate, retries, secretFromStdin, subscriptions, timeout } from './subscriptions.ts';
import { trigger } from './trigger.ts';
import { test } from './webhook-test.ts';

const subscription = required('--webhook-subscription-id <id>', name, 'the subscription');
const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';

const upsert = commandVerb({
  name: 'upsert-subscription',
  commandType: 'UpsertWebhookSubscription',
  summary: 'Create a subscription, or set all of an existing one',
  details:
    'All settings are required, also on update; an option that is omitted is as on a new one. A new subscription with the reference "managed" answers its signing secret, once. ' +
    'An update never changes the secret: rotate it. With --quiet: the id, and on a second line the secret if there is one.',
  examples: [
    `echo managed | kf webhook upsert-subscription ${who} --event-pattern 'version.*,claim.**' --target-url https://example.com/hook --signing-secret-ref-stdin --delivery-mode AT_LEAST_ONCE --status ACTIVE`,
  ],
  flags: {
    webhookSubscriptionId: optional('--webhook-subscription-id <id>', name, 'the subscription; generated when omitted'),
    eventPattern: required('--event-pattern <pattern>', eventPattern, 'which events: comma-separated, * is one segment, ** any number'),
    filter: optional('--filter <expression>', filter, `${filterAbout}; all when omitted`),
    targetUrl: required('--target-url <url>', targetUrl, 'where deliveries go'),
    signingSecretRefStdin: required('--signing-secret-ref-stdin', yesOrNo, secretFromStdin),
    deliveryMode: required('--delivery-mode <mode>', deliveryMode, 'AT_LEAST_ONCE, ORDERED or BEST_EFFORT'),
    status: required('--status <status>', oneOf('ACTIVE', 'PAUSED'), 'ACTIVE or PAUSED'),
    description: optional('--description <text>', text(1_000), 'what it is for'),
    timeoutMs: optional('--timeout-ms <n>', timeoutMs, `${timeout}; 15000 when omitted`),
    retrySchedule: optional('--retry-schedule <csv>', retrySchedule, `${retries}; the server's when omitted`),
    rateLimit: optional('--rate-limit <n>', rateLimit, `${rate}; as many as can be when omitted`),
    label: repeated('--label <NAME=VALUE>', label, `${labelAbout}; none when omitted`),
    header: repeated('--header <NAME=VALUE>', header, `${headerAbout}; none when omitted`),
    ifRevision: optional('--if-revision <n>', revision, 'only when the subscription is at this revision'),
  },
  ask: async ({ signingSecretRefStdin: _, ifRevision, label: given, header: headers, ...settings }, { io }) => ({
    payload: { ...settings, labels: labelsOf(given), headers: headersOf(headers), signingSecretRef: await readSecretLine(io, '--signing-secret-ref-stdin', signingSecretRef) },
    expectedRevision: ifRevision,
  }),
  essentials: (body) => [...idOf(body), ...secretOf(body)],
});

const pause = commandVerb({
  name: 'pause-subscription',
  commandType: 'PauseWebhookSubscription',
  summary: 'Stop delivering to a subscription',
  details: 'No attempt starts after the answer. What was pending waits; what is published meanwhile is counted as missed, not scheduled.',
  examples: [`kf webhook pause-subscription ${who} --webhook-subscription-id <id>`],
  flags: { webhookSubscriptionId: subscription },
  ask: (payload) => ({ payload }),
});

const resume = commandVerb({
  name: 'resume-subscription',
  commandType: 'ResumeWebhookSubscription',
  summary: 'Deliver to a paused subscription again, from the next event on',
  examples: [`kf webhook resume-subscription ${who} --webhook-subscription-id <id>`],
  flags: { webhookSubscriptionId: subscription },
  ask: (payload) => ({ payload }),
});

const rotate = commandVerb({
  name: 'rotate-subscription-secret',
  commandType: 'RotateWebhookSubscriptionSecret',
  summary: 'Replace the signing secret of a subscription',
  details:
    'Needs an approval unless the policy says otherwise. The new secret is answered exactly once; a repetition with the same key answers null. ' +
    'During the grace time deliveries are signed with both secrets. With --quiet: the secret.',
  examples: [`kf webhook rotate-subscription-secret ${who} --webhook-subscription-id <id>`, `kf webhook rotate-subscription-secret ${who} --webhook-subscription-id <id> --approval-id <id> --grace-seconds 3600`],
  flags: {
    webhookSubscriptionId: subscription,
    approvalId: optional('--approval-id <id>', name, 'the approval to use; else one that fits is found'),
    graceSeconds: optional('--grace-seconds <n>', wholeNumber(0, 604_800), 'how long both secrets sign: 0 to 604800, by default 86400'),
    signingSecretRefStdin: toggle('--signing-secret-ref-stdin', `${secretFromStdin}; by default the server makes a new one`),
  },
  ask: async ({ approvalId, signingSecretRefStdin, ...payload }, { io }) => ({
    payload: { ...payload, signingSecretRef: signingSecretRefStdin ? await readSecretLine(io, '--signing-secret-ref-stdin', signingSecretRef) : undefined },
    approvalId,
  }),
  essentials: secretOf,
});

const replay = commandVerb({
  name: 'replay-delivery',
  commandType: 'ReplayWebhookDelivery',
  summary: 'Attempt a scheduled or dead-lettered delivery again, now',
  details: 'Without --reset-attempts the count goes on, and a dead-lettered delivery gets exactly one more attempt.',
  examples: [`kf webhook replay-delivery ${who} --webhook-delivery-id <id> --reset-attempts`],
  flags: {
    webhookDeliveryId: required('--webhook-delivery-id <id>', name, 'the delivery'),
    resetAttempts: optional('--reset-attempts [true|false]', yesOrNo, 'start the count and the schedule anew; a bare flag means true'),
    includeDelivered: toggle('--include-delivered', 'also when it was delivered already'),
  },
  ask: ({ includeDelivered, ...payload }) => ({ payload: { ...payload, includeDelivered: includeDelivered ? true : undefined } }),
});

export const webhook: Part = group('webhook', 'Subscriptions and their deliveries', [...subscriptions, ...deliveries, ...recoveryVerbs, probe, listen, trigger, test, upsert, pause, resume, rotate, replay]);
