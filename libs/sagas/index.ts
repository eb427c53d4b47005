export { createFanOut } from './fan-out.ts';
export { Origins } from './origins.ts';
export {
  type AlarmName,
  type AnySaga,
  type FanOut,
  type FanOutParts,
  type FollowerParts,
  type ParkedStatus,
  type Recoveries,
  type RecoveriesParts,
  type SagaAlarm,
  type SagaOutput,
  type SagaRunner,
  type SagaRunnerParts,
  type SagaStatus,
  type Selections,
  type SubscriptionVersions,
} from './port.ts';
export { createRecoveries } from './recoveries.ts';
export { createSagaRunner } from './runner.ts';
