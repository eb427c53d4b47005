import { streamOf } from '#kernel';
import { decideRecovery, defaultRatePerSecond, defaultStatuses, evolveRecovery, initialRecovery, type RecoverableStatus, type RecoveryCommand, type RecoveryEvent, type RecoveryState } from '#recoveries';
import type { CommandDefinition, Context } from '../definition.ts';
import { loadPolicy } from '../gate.ts';
import { instantOrNull, numberOr, text, textList } from '../payload.ts';
import { subscriptionFold } from './subscriptions.ts';

type RecoveryDefinition = CommandDefinition<RecoveryState, RecoveryCommand, RecoveryEvent>;

export const recoveryFold = { initialState: initialRecovery, evolve: evolveRecovery };

const onRecovery = { category: 'recovery', idMember: 'recoveryId', fold: () => recoveryFold, incarnation: () => 'NONE', decide: decideRecovery } as const;

const recover: RecoveryDefinition = {
  ...onRecovery,
  type: 'RecoverWebhookDeliveries',
  idPrefix: 'rec',
  prepare: async ({ request, resourceId, aggregates, nowMs }: Context) => {
    const { payload, site } = request;
    const webhookSubscriptionId = text(payload, 'webhookSubscriptionId');
    const subscription = await aggregates.load(streamOf('webhooksubscription', site, webhookSubscriptionId), subscriptionFold);
    const statuses = textList(payload, 'status') as readonly RecoverableStatus[];
    return {
      do: 'start',
      recoveryId: resourceId,
      webhookSubscriptionId,
      subscription: subscription.state,
      sinceMs: Date.parse(text(payload, 'since')),
      untilMs: instantOrNull(payload, 'until'),
      statuses: statuses.length === 0 ? defaultStatuses : statuses,
      ratePerSecond: numberOr(payload, 'ratePerSecond', defaultRatePerSecond),
      nowMs,
      replayIsGated: (await loadPolicy(aggregates, site, 'ReplayWebhookDelivery')).state.policy.required,
    };
  },
};

const cancel: RecoveryDefinition = {
  ...onRecovery,
  type: 'CancelWebhookRecovery',
  prepare: ({ resourceId }) => Promise.resolve({ do: 'cancel', recoveryId: resourceId }),
};

export const recoveryCommands = [recover, cancel] as const;
