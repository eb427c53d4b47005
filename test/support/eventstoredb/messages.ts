import shared from '@eventstore/db-client/generated/shared_pb.js';
import type status from '@eventstore/db-client/generated/status_pb.js';
import streams from '@eventstore/db-client/generated/streams_pb.js';
import type { Expected, LoggedEvent, Outcome, ProposedEvent } from './log.ts';

/** The types of the generated code, which has one class per message and 64-bit numbers as strings. */
export type BatchAppendReq = InstanceType<typeof streams.BatchAppendReq>;
export type BatchAppendResp = InstanceType<typeof streams.BatchAppendResp>;
export type AppendReq = InstanceType<typeof streams.AppendReq>;
export type AppendResp = InstanceType<typeof streams.AppendResp>;
export type DeleteReq = InstanceType<typeof streams.DeleteReq>;
export type DeleteResp = InstanceType<typeof streams.DeleteResp>;
export type TombstoneReq = InstanceType<typeof streams.TombstoneReq>;
export type TombstoneResp = InstanceType<typeof streams.TombstoneResp>;
export type ReadReq = InstanceType<typeof streams.ReadReq>;
export type ReadResp = InstanceType<typeof streams.ReadResp>;
export type Status = InstanceType<typeof status.Status>;
type Uuid = InstanceType<typeof shared.UUID>;
type StreamIdentifier = InstanceType<typeof shared.StreamIdentifier>;

const ticksPerMs = 10_000n;

export const nameOf = (identifier: StreamIdentifier | undefined): string => Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8');
export const identifierOf = (name: string): StreamIdentifier => new shared.StreamIdentifier().setStreamName(Buffer.from(name));

/** A UUID in text, from either of its forms. */
export function uuidOf(uuid: Uuid | undefined): string {
  const structured = uuid?.getStructured();
  if (structured === undefined) return uuid?.getString() ?? '';
  const high = BigInt.asUintN(64, BigInt(structured.getMostSignificantBits()));
  const low = BigInt.asUintN(64, BigInt(structured.getLeastSignificantBits()));
  return `${high.toString(16).padStart(16, '0')}${low.toString(16).padStart(16, '0')}`.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

interface ProposedMessage {
  getId(): Uuid | undefined;
  getMetadataMap(): { get(name: string): string | undefined };
  getCustomMetadata_asU8(): Uint8Array;
  getData_asU8(): Uint8Array;
}

export const proposedOf = (message: ProposedMessage): ProposedEvent => ({
  id: uuidOf(message.getId()),
  type: message.getMetadataMap().get('type') ?? '',
  contentType: message.getMetadataMap().get('content-type') ?? 'application/octet-stream',
  data: message.getData_asU8(),
  metadata: message.getCustomMetadata_asU8(),
});

interface ExpectedRevision {
  hasNoStream(): boolean;
  hasStreamExists(): boolean;
  hasRevision(): boolean;
  getRevision(): string;
}

export function expectedOf(options: ExpectedRevision | undefined): Expected {
  if (options?.hasRevision() === true) return BigInt(options.getRevision());
  if (options?.hasNoStream() === true) return 'no_stream';
  return options?.hasStreamExists() === true ? 'stream_exists' : 'any';
}

/** The batch path calls the revision a position. */
export const expectedOfBatch = (options: InstanceType<typeof streams.BatchAppendReq.Options>): Expected =>
  expectedOf({
    hasNoStream: () => options.hasNoStream(),
    hasStreamExists: () => options.hasStreamExists(),
    hasRevision: () => options.hasStreamPosition(),
    getRevision: () => options.getStreamPosition(),
  });

/** One event as a reader gets it, of a stream or of `$all`. */
export function readEvent(event: LoggedEvent): ReadResp {
  const position = String(event.position);
  const recorded = new streams.ReadResp.ReadEvent.RecordedEvent()
    .setId(new shared.UUID().setString(event.id))
    .setStreamIdentifier(identifierOf(event.stream))
    .setStreamRevision(String(event.revision))
    .setCommitPosition(position)
    .setPreparePosition(position)
    .setCustomMetadata(event.metadata)
    .setData(event.data);
  recorded.getMetadataMap().set('type', event.type).set('content-type', event.contentType).set('created', String(BigInt(event.createdMs) * ticksPerMs));
  return new streams.ReadResp().setEvent(new streams.ReadResp.ReadEvent().setEvent(recorded).setCommitPosition(position));
}

export const streamNotFound = (name: string): ReadResp => new streams.ReadResp().setStreamNotFound(new streams.ReadResp.StreamNotFound().setStreamIdentifier(identifierOf(name)));
export const confirmation = (id: string): ReadResp => new streams.ReadResp().setConfirmation(new streams.ReadResp.SubscriptionConfirmation().setSubscriptionId(id));
export const checkpoint = (commit: bigint, prepare: bigint): ReadResp =>
  new streams.ReadResp().setCheckpoint(new streams.ReadResp.Checkpoint().setCommitPosition(String(commit)).setPreparePosition(String(prepare)));
export const caughtUp = (): ReadResp => new streams.ReadResp().setCaughtUp(new streams.ReadResp.CaughtUp());

/** A write that succeeded, on the path of one append per call. */
export function appended(outcome: Extract<Outcome, { kind: 'written' | 'repeated' }>): AppendResp {
  const success = new streams.AppendResp.Success();
  if (outcome.revision < 0n) success.setNoStream(new shared.Empty());
  else success.setCurrentRevision(String(outcome.revision));
  if (outcome.kind === 'repeated') success.setNoPosition(new shared.Empty());
  else success.setPosition(new streams.AppendResp.Position().setCommitPosition(String(outcome.position)).setPreparePosition(String(outcome.position)));
  return new streams.AppendResp().setSuccess(success);
}

/** A conflict is an answer there, not an error. */
export function appendConflict({ expected, current }: Extract<Outcome, { kind: 'wrong-expected-version' }>): AppendResp {
  const conflict = new streams.AppendResp.WrongExpectedVersion();
  if (current < 0n) conflict.setCurrentNoStream(new shared.Empty());
  else conflict.setCurrentRevision(String(current));
  if (typeof expected === 'bigint') conflict.setExpectedRevision(String(expected));
  if (expected === 'no_stream') conflict.setExpectedNoStream(new shared.Empty());
  if (expected === 'stream_exists') conflict.setExpectedStreamExists(new shared.Empty());
  if (expected === 'any') conflict.setExpectedAny(new shared.Empty());
  return new streams.AppendResp().setWrongExpectedVersion(conflict);
}

export const deleted = (position: bigint): DeleteResp =>
  new streams.DeleteResp().setPosition(new streams.DeleteResp.Position().setCommitPosition(String(position)).setPreparePosition(String(position)));
export const tombstoned = (position: bigint): TombstoneResp =>
  new streams.TombstoneResp().setPosition(new streams.TombstoneResp.Position().setCommitPosition(String(position)).setPreparePosition(String(position)));

/** A write that succeeded, on the batch path. */
export function batchAppended(outcome: Extract<Outcome, { kind: 'written' | 'repeated' }>): BatchAppendResp {
  const success = new streams.BatchAppendResp.Success();
  if (outcome.revision < 0n) success.setNoStream(new shared.Empty());
  else success.setCurrentRevision(String(outcome.revision));
  if (outcome.kind === 'repeated') success.setNoPosition(new shared.Empty());
  else success.setPosition(new shared.AllStreamPosition().setCommitPosition(String(outcome.position)).setPreparePosition(String(outcome.position)));
  return new streams.BatchAppendResp().setSuccess(success);
}

export const batchFailed = (error: Status): BatchAppendResp => new streams.BatchAppendResp().setError(error);
