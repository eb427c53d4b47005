import { decideTest, defaultTestEvent, evolveTest, initialTest, type RequestTest, type TestRequestEvent, type TestRequestState } from '#deliveries';
import { derivedId, streamOf } from '#kernel';
import type { CommandDefinition } from '../definition.ts';
import { text, textOr } from '../payload.ts';
import { subscriptionFold } from './subscriptions.ts';

const testFold = { initialState: initialTest, evolve: evolveTest };

const test: CommandDefinition<TestRequestState, RequestTest, TestRequestEvent> = {
  type: 'TestWebhookSubscription',
  category: 'probe',
  // No payload has it: a test is named after its command.
  idMember: 'testId',
  idPrefix: 'tst',
  fold: () => testFold,
  incarnation: () => 'NONE',
  prepare: async ({ request, commandId, aggregates, nowMs }) => {
    const { site, payload } = request;
    const webhookSubscriptionId = text(payload, 'webhookSubscriptionId');
    const { state: subscription } = await aggregates.load(streamOf('webhooksubscription', site, webhookSubscriptionId), subscriptionFold);
    return { site, webhookSubscriptionId, subscription, eventId: derivedId('evt', commandId), eventType: textOr(payload, 'event', defaultTestEvent), nowMs };
  },
  decide: decideTest,
};

export const testCommands = [test] as const;
