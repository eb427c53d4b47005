export { type AttemptOutcome, type DeadLetterReason, type DeliveryEvent } from './events.ts';
export { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';
