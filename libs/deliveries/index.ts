export { wireBody } from './body.ts';
export { type AttemptOutcome, type DeadLetterReason, type DeliveryEvent } from './events.ts';
export { type AttemptRow, attemptTable, deliveryProjection, type DeliveryRow, deliveryTable, type PurgeRow, purgeTable, type SubscriptionHealthRow, subscriptionHealthTable } from './projection.ts';
export { decideReplay, type ReplayDecision, replayDecider, type ReplayDelivery } from './replay.ts';
export { type AttemptDecision, decideAfterAttempt, defaultRetrySchedule, type FinishedAttempt, maxAttempts, maxRetryAfterMs, maxRetryDelayMs, parseRetrySchedule, type RetrySchedule } from './retry.ts';
export { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';
export { transcriptProjection, type TranscriptRow, transcriptTable } from './transcript-projection.ts';
export type { DeliveryTranscript, TranscriptDecision, TranscriptsRecorded } from './transcript.ts';
