export { createDispatcher, defaultLimits } from './dispatcher.ts';
export { partitionOf, partitions } from './partitions.ts';
export type {
  Alarm,
  AlarmName,
  AttemptLine,
  Dispatcher,
  DispatcherLimits,
  DispatcherParts,
  DispatcherStats,
  DueFeed,
  FedDelivery,
  OpenQuestion,
  OpenStatus,
  Order,
  Place,
  Send,
  SendRequest,
  SentRequest,
  SubscriptionView,
} from './port.ts';
