import shared from '@eventstore/db-client/generated/shared_pb.js';
import streams, { type AppendReq, type ReadResp } from '@eventstore/db-client/generated/streams_pb.js';
import type { Metadata, NewEvent, Position, RecordedEvent } from '#kernel';
import type { ExpectedRevision } from '../port.ts';

/** Our streams' bytes are the data's own: the content type says JSON, so that other tools show it, and nobody here parses it. */
export function proposed({ id, type, data }: NewEvent, metadata: string): AppendReq {
  const message = new streams.AppendReq.ProposedMessage();
  message.setId(new shared.UUID().setString(id));
  message.getMetadataMap().set('type', type).set('content-type', 'application/json');
  message.setData(Buffer.from(data));
  message.setCustomMetadata(Buffer.from(metadata));
  return new streams.AppendReq().setProposedMessage(message);
}

export function appendHeader(stream: string, expected: ExpectedRevision): AppendReq {
  const options = new streams.AppendReq.Options().setStreamIdentifier(identifier(stream));
  if (expected === 'NO_STREAM') options.setNoStream(new shared.Empty());
  else options.setRevision(String(expected));
  return new streams.AppendReq().setOptions(options);
}

export const identifier = (stream: string): InstanceType<typeof shared.StreamIdentifier> => new shared.StreamIdentifier().setStreamName(Buffer.from(stream));

/** The type of the mark that stands in the log where a stream was removed. */
export const removalType = '$streamDeleted';

/** One record of the log: ours, or the server's own (a `$` stream, or the mark that a stream was removed). */
export interface LogRecord {
  readonly stream: string;
  readonly revision: number;
  readonly position: Position;
  readonly id: string;
  readonly bytes: number;
  readonly kind: 'event' | 'removal' | 'system';
  /** Only of an event. */
  read(): RecordedEvent;
}

/**
 * A position is the commit position, for reading on as both halves of the server's: they differ only within transactions over
 * several requests, which nobody can start any more.
 */
export function recordOf(message: ReadResp): LogRecord | undefined {
  const record = message.getEvent()?.getEvent();
  if (record === undefined) return undefined;
  const stream = text(record.getStreamIdentifier()?.getStreamName_asU8() ?? new Uint8Array());
  const type = record.getMetadataMap().get('type') ?? '';
  const place = { stream, revision: Number(record.getStreamRevision()), position: record.getCommitPosition(), id: record.getId()?.getString() ?? '' };
  return {
    ...place,
    kind: kindOf(stream, type),
    bytes: record.getData_asU8().length + record.getCustomMetadata_asU8().length,
    read: () => ({ ...place, type, data: text(record.getData_asU8()), metadata: flatMetadata(text(record.getCustomMetadata_asU8())) }),
  };
}

function kindOf(stream: string, type: string): LogRecord['kind'] {
  if (stream.startsWith('$')) return 'system';
  return type === removalType ? 'removal' : 'event';
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** Events that others wrote into our log may have any metadata, or none: what is not a string is none of ours. */
function flatMetadata(json: string): Metadata {
  const parsed = parsedOr(json, {});
  if (typeof parsed !== 'object' || parsed === null) return {};
  return Object.fromEntries(Object.entries(parsed).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function parsedOr(json: string, otherwise: unknown): unknown {
  try {
    return JSON.parse(json);
  } catch {
    return otherwise;
  }
}
