import { type Accepted, type Decision, formatInstant, refuse, type Refusal } from '#kernel';
import { refuseMissing, type SubscriptionState } from '#subscriptions';
import { type RecoverableStatus, recoverableStatuses, type RecoveryEvent, replays } from './events.ts';
import type { RecoveryState } from './state.ts';

/** What is selected when nothing is said: what was lost. */
export const defaultStatuses: readonly RecoverableStatus[] = ['DEAD_LETTERED', 'MISSED'];
export const defaultRatePerSecond = 100;
export const maxRatePerSecond = 10_000;

/** `RecoverWebhookDeliveries` and `CancelWebhookRecovery` with everything their decisions need to know. */
export type RecoveryCommand =
  | {
      readonly do: 'start';
      readonly recoveryId: string;
      readonly webhookSubscriptionId: string;
      readonly subscription: SubscriptionState;
      readonly sinceMs: number;
      /** Null: until now. */
      readonly untilMs: number | null;
      readonly statuses: readonly RecoverableStatus[];
      readonly ratePerSecond: number;
      readonly nowMs: number;
      /** The site's policy asks for an approval of each single replay. */
      readonly replayIsGated: boolean;
    }
  | { readonly do: 'cancel'; readonly recoveryId: string };

type Code = 'not-found' | 'subscription-deleted' | 'validation-failed' | 'approval-required';

/**
 * Starts a job that sends again what a subscription did not get, or ends one. `not-found`, `subscription-deleted`: there is
 * nothing to recover for. `validation-failed`: a stretch of time that is empty or not over yet. `approval-required`: each
 * replay needs an approval of its own in this site, which a job for all of them would go past.
 */
export function decideRecovery(state: RecoveryState, command: RecoveryCommand): Decision<RecoveryEvent, object, Code> {
  return command.do === 'start' ? start(state, command) : cancel(state, command.recoveryId);
}

type Start = Extract<RecoveryCommand, { do: 'start' }>;

function start(state: RecoveryState, command: Start): Decision<RecoveryEvent, object, Code> {
  const { recoveryId, webhookSubscriptionId, subscription, sinceMs, statuses, ratePerSecond, nowMs } = command;
  if (state.status !== 'NONE') return accepted(recoveryId, state.status, []);
  if (subscription.status === 'NONE' || subscription.status === 'DELETED') return refuseMissing(webhookSubscriptionId, subscription);
  const untilMs = command.untilMs ?? nowMs;
  const refusal = wrongTimes(sinceMs, untilMs, nowMs) ?? pastTheGate(command);
  if (refusal !== undefined) return refusal;
  const asked = { since: formatInstant(sinceMs), until: formatInstant(untilMs), statuses: recoverableStatuses.filter((one) => statuses.includes(one)), ratePerSecond };
  const event: RecoveryEvent = { type: 'WebhookRecoveryStarted', data: { subscriptionId: webhookSubscriptionId, incarnation: subscription.incarnation, ...asked } };
  return accepted(recoveryId, 'RUNNING', [event], { webhookSubscriptionId, ...asked });
}

const accepted = (recoveryId: string, status: string, events: readonly RecoveryEvent[], more: object = {}): Accepted<RecoveryEvent> => ({ events, result: { recoveryId, status, ...more } });

function wrongTimes(sinceMs: number, untilMs: number, nowMs: number): Refusal<'validation-failed'> | undefined {
  if (sinceMs > nowMs) return invalid('since', `must not be in the future; it is ${formatInstant(nowMs)} now`);
  if (untilMs > nowMs) return invalid('until', `must not be in the future; it is ${formatInstant(nowMs)} now. Left out, it is the moment of the command`);
  return sinceMs < untilMs ? undefined : invalid('since', `must be before until (${formatInstant(untilMs)})`);
}

const invalid = (member: string, message: string): Refusal<'validation-failed'> => refuse('validation-failed', `${member} ${message}.`, { errors: [{ path: `payload.${member}`, message }] });

const gated = 'A policy of this site asks for an approval of each ReplayWebhookDelivery; a recovery of many deliveries at once would go past it. Replay them one by one, each with its approval, or have the policy changed. What was MISSED is not replayed but scheduled: alone it can be recovered.';
const goesPastTheGate = refuse('approval-required', gated, { unmet: [{ code: 'approval-required', detail: gated }], candidates: [] });

const pastTheGate = ({ replayIsGated, statuses }: Start): Refusal<'approval-required'> | undefined => (replayIsGated && replays(statuses) ? goesPastTheGate : undefined);

function cancel(state: RecoveryState, recoveryId: string): Decision<RecoveryEvent, object, Code> {
  if (state.status === 'NONE') return refuse('not-found', `There is no recovery ${recoveryId} in this tenant and environment.`);
  return state.status === 'RUNNING' ? accepted(recoveryId, 'CANCELLED', [{ type: 'WebhookRecoveryCancelled', data: {} }]) : accepted(recoveryId, state.status, []);
}
