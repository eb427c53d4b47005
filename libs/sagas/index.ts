export { createFanOut } from './fan-out.ts';
export {
  type AlarmName,
  type AnySaga,
  type FanOut,
  type FanOutParts,
  type FollowerParts,
  type ParkedStatus,
  type SagaAlarm,
  type SagaOutput,
  type SagaRunner,
  type SagaRunnerParts,
  type SagaStatus,
  type SubscriptionVersions,
} from './port.ts';
export { createSagaRunner } from './runner.ts';
