export { decideRecovery, defaultRatePerSecond, defaultStatuses, maxRatePerSecond, type RecoveryCommand } from './decider.ts';
export { type RecoverableStatus, recoverableStatuses, type RecoveryCounts, type RecoveryCursor, type RecoveryEvent, replays } from './events.ts';
export { recoveryEvent, recoveryProjection, type RecoveryRow, recoveryTable } from './projection.ts';
export { evolveRecovery, initialRecovery, type Recovery, type RecoveryState, selectsBeforeMs } from './state.ts';
