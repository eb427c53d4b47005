export { type Committed, type DueDelivery, type ProjectionStatus, type SubscriptionVersion } from './port.ts';
