export { wireBody } from './body.ts';
export { type AttemptOutcome, type DeadLetterReason, type DeliveryEvent } from './events.ts';
export { decideReplay, type ReplayDecision, replayDecider, type ReplayDelivery } from './replay.ts';
export { type AttemptDecision, decideAfterAttempt, defaultRetrySchedule, type FinishedAttempt, maxAttempts, maxRetryAfterMs, maxRetryDelayMs, parseRetrySchedule, type RetrySchedule } from './retry.ts';
export { type DeliveryState, evolveDelivery, initialDelivery } from './state.ts';
export type { DeliveryTranscript, TranscriptDecision, TranscriptsRecorded } from './transcript.ts';
