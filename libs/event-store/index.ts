export { appendBytes } from './admission.ts';
export { appendBehind, appendEach, appendInTurn } from './append-each.ts';
export { Growth } from './follow.ts';
export { lastEvent } from './last-event.ts';
export { patiently, type Patience } from './patience.ts';
export {
  type Append,
  type AppendResult,
  AppendTooLarge,
  type CopyableEventStore,
  type EventBatch,
  type EventStore,
  type ExpectedRevision,
  maxAppendBytes,
  OutcomeUnknown,
  type SingleAppend,
  StoreUnavailable,
  type StreamFilter,
  StreamTombstoned,
  WrongExpectedRevision,
} from './port.ts';
