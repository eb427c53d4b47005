import { argument, optional } from '../flags.ts';
import { key, name, oneOf, pastMoment, yesOrNo } from '../forms.ts';
import { pageFlags, pageQuery, printPage } from '../pages.ts';
import { operatorVerb, siteVerb } from '../site.ts';
import { group, type Part } from '../verb.ts';
import { deliveryFacts, deliveryList, deliveryView, siteDeliveryList } from './delivery-view.ts';
import { changeView } from './subscription-view.ts';
import { approvalId, subscription, webhookPath } from './subscriptions.ts';

const statuses = oneOf('PENDING', 'SCHEDULED', 'DELIVERED', 'DEAD_LETTERED', 'CANCELLED');
const status = optional('--status <status>', statuses, `only of this status: ${statuses.expected} (SCHEDULED waits for its next attempt)`);
const delivery = argument('deliveryId', name, 'the delivery');
const kept = 'Deliveries are kept for 30 days, unless the server is set otherwise.';

const ofSubscription = siteVerb({
  name: 'deliveries',
  summary: 'List the deliveries of a subscription, the newest first',
  details: kept,
  examples: ['kf webhook deliveries <id> --site tnt_demo', 'kf webhook deliveries <id> --status DEAD_LETTERED --quiet'],
  flags: { id: subscription, status, ...pageFlags },
  run: async (session, { id, status: wanted, ...page }) => printPage(session, await session.askSite({ method: 'GET', path: `${webhookPath(id)}/deliveries`, query: { status: wanted, ...pageQuery(page) } }), deliveryList),
});

const get = siteVerb({
  name: 'get',
  summary: 'Show a delivery with the full transcript of each attempt',
  details: `What was sent (> ), what came back (< ), how long it took, what was decided then and why. Of a response at most 16 KiB are kept, 4 KiB of a 2xx. ${kept}`,
  examples: ['kf webhook delivery get <id> <deliveryId> --site tnt_demo'],
  flags: { id: subscription, deliveryId: delivery },
  run: async (session, { id, deliveryId }) => session.output.answer(await session.askSite({ method: 'GET', path: deliveryPath(id, deliveryId) }), deliveryView),
});

export const deliveryPath = (id: string, deliveryId: string): string => `${webhookPath(id)}/deliveries/${encodeURIComponent(deliveryId)}`;

const retry = operatorVerb({
  name: 'retry',
  summary: 'Attempt a delivery again, now, also when it was delivered',
  details: 'Without --reset-attempts the count goes on, and a dead-lettered delivery gets exactly one more attempt.',
  examples: ['kf webhook retry <id> <deliveryId> --site tnt_demo'],
  flags: { id: subscription, deliveryId: delivery, resetAttempts: optional('--reset-attempts [true|false]', yesOrNo, 'start the count and the schedule anew; a bare flag means true'), approvalId },
  ask: ({ id, deliveryId, resetAttempts, approvalId: approval }) => ({
    method: 'POST',
    path: `${deliveryPath(id, deliveryId)}/retry`,
    commandType: 'ReplayWebhookDelivery',
    resourceId: deliveryId,
    approvalId: approval,
    body: { resetAttempts, approvalId: approval },
  }),
  view: changeView('delivery', deliveryFacts),
});

/** The deliveries of a whole site. */
export const siteDeliveries = siteVerb({
  name: 'deliveries',
  summary: 'List the deliveries of a whole site, the newest first',
  details: kept,
  examples: ['kf deliveries --site tnt_demo --status DEAD_LETTERED --since 24h', 'kf deliveries --event-id <id>'],
  flags: {
    status,
    eventId: optional('--event-id <id>', key, 'only of this event'),
    since: optional('--since <time>', pastMoment, 'only those scheduled since: RFC 3339, or how long ago (30m, 2h, 3d)'),
    ...pageFlags,
  },
  run: async (session, { status: wanted, eventId, since, ...page }) => {
    const query = { status: wanted, eventId, since: since?.(session.io.clock.now()), ...pageQuery(page) };
    printPage(session, await session.askSite({ method: 'GET', path: '/api/deliveries', query }), siteDeliveryList);
  },
});

export const deliveries: readonly Part[] = [ofSubscription, group('delivery', 'One delivery', [get]), retry];
