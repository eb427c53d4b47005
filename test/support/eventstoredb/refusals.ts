import code from '@eventstore/db-client/generated/code_pb.js';
import shared from '@eventstore/db-client/generated/shared_pb.js';
import status from '@eventstore/db-client/generated/status_pb.js';
import { Metadata, type StatusObject, status as grpc } from '@grpc/grpc-js';
import { type Expected, maxAppendSize, type Outcome } from './log.ts';
import { identifierOf, type Status } from './messages.ts';

/** Why a node takes no call, whatever is asked. */
export type Refusal = 'not-ready' | 'busy' | 'access-denied' | 'timeout' | 'shutdown' | { readonly leader: { readonly host: string; readonly port: number } };

/** What was asked for and can't be done. */
export type Failure = Exclude<Outcome, { kind: 'written' | 'repeated' }>;

const failed = (of: grpc, details: string, exception?: string, trailers: Readonly<Record<string, string>> = {}): StatusObject => {
  const metadata = new Metadata();
  if (exception !== undefined) metadata.set('exception', exception);
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return { code: of, details, metadata };
};

/** How a refused call ends. */
export function refusedCall(refusal: Refusal): StatusObject {
  switch (refusal) {
    case 'not-ready':
      return failed(grpc.UNAVAILABLE, 'Server Is Not Ready');
    case 'busy':
      return failed(grpc.UNAVAILABLE, 'Server Is Too Busy');
    case 'access-denied':
      return failed(grpc.PERMISSION_DENIED, 'Access Denied', 'access-denied');
    case 'timeout':
      return failed(grpc.ABORTED, 'Timeout', 'timeout');
    case 'shutdown':
      return failed(grpc.CANCELLED, 'Server shutting down');
    default:
      return failed(grpc.NOT_FOUND, 'Leader info available', 'not-leader', {
        'leader-endpoint-host': refusal.leader.host,
        'leader-endpoint-port': String(refusal.leader.port),
      });
  }
}

/** How a call about one stream ends that failed. */
export function failedCall(failure: Failure, stream: string): StatusObject {
  const trailers = { 'stream-name': stream };
  switch (failure.kind) {
    case 'stream-deleted':
      return failed(grpc.FAILED_PRECONDITION, `Event stream '${stream}' is deleted.`, 'stream-deleted', trailers);
    case 'wrong-expected-version':
      return failed(grpc.FAILED_PRECONDITION, `Append failed due to WrongExpectedVersion. Stream: ${stream}`, 'wrong-expected-version', {
        ...trailers,
        'expected-version': String(versionOf(failure.expected)),
        ...(failure.current < 0n ? {} : { 'actual-version': String(failure.current) }),
      });
    case 'too-large':
      return failed(grpc.INVALID_ARGUMENT, `Maximum Append Size of ${maxAppendSize} Exceeded.`, 'maximum-append-size-exceeded', { 'maximum-append-size': String(maxAppendSize) });
    case 'too-late':
      return refusedCall('timeout');
  }
}

/** The server's numbers for what is no revision. */
function versionOf(expected: Expected): bigint {
  switch (expected) {
    case 'no_stream':
      return -1n;
    case 'any':
      return -2n;
    case 'stream_exists':
      return -4n;
    default:
      return expected;
  }
}

/**
 * An `Any` that holds a message. Its class is in a package that only the client declares, and it comes with every
 * `Status` that has one: field 3, length 0.
 */
function statusWith(of: code.Code, message: string, type: string, details: Uint8Array): Status {
  const made = status.Status.deserializeBinary(Uint8Array.of(0x1a, 0));
  made.getDetails()?.pack(details, type, 'type.googleapis.com');
  return made.setCode(of).setMessage(message);
}

/** How one append of a batch is refused; undefined where the call ends as a whole. */
export function refusedAppend(refusal: Refusal): Status | undefined {
  if (typeof refusal === 'object') return undefined;
  switch (refusal) {
    case 'not-ready':
      return statusWith(code.Code.UNAVAILABLE, 'Server Is Not Ready', 'google.protobuf.Empty', new Uint8Array());
    case 'busy':
      return statusWith(code.Code.UNAVAILABLE, 'Server Is Busy', 'google.protobuf.Empty', new Uint8Array());
    case 'access-denied':
      return statusWith(code.Code.PERMISSION_DENIED, 'Access Denied', 'event_store.client.AccessDenied', new shared.AccessDenied().serializeBinary());
    case 'timeout':
      return statusWith(code.Code.DEADLINE_EXCEEDED, 'Timeout', 'event_store.client.Timeout', new shared.Timeout().serializeBinary());
    case 'shutdown':
      return undefined;
  }
}

/** How one append of a batch fails. */
export function failedAppend(failure: Failure, stream: string): Status {
  switch (failure.kind) {
    case 'stream-deleted':
      return statusWith(code.Code.FAILED_PRECONDITION, 'Stream Deleted', 'event_store.client.StreamDeleted', new shared.StreamDeleted().setStreamIdentifier(identifierOf(stream)).serializeBinary());
    case 'wrong-expected-version':
      return statusWith(code.Code.ALREADY_EXISTS, 'Wrong Expected Version', 'event_store.client.WrongExpectedVersion', conflictOf(failure).serializeBinary());
    case 'too-large':
      return statusWith(code.Code.INVALID_ARGUMENT, 'Maximum Append Size Exceeded', 'event_store.client.MaximumAppendSizeExceeded', new shared.MaximumAppendSizeExceeded().setMaxappendsize(maxAppendSize).serializeBinary());
    case 'too-late':
      return statusWith(code.Code.DEADLINE_EXCEEDED, 'Timeout', 'event_store.client.Timeout', new shared.Timeout().serializeBinary());
  }
}

function conflictOf({ expected, current }: Extract<Failure, { kind: 'wrong-expected-version' }>): InstanceType<typeof shared.WrongExpectedVersion> {
  const conflict = new shared.WrongExpectedVersion();
  if (current < 0n) conflict.setCurrentNoStream(new shared.Empty());
  else conflict.setCurrentStreamRevision(String(current));
  if (typeof expected === 'bigint') conflict.setExpectedStreamPosition(String(expected));
  if (expected === 'no_stream') conflict.setExpectedNoStream(new shared.Empty());
  if (expected === 'stream_exists') conflict.setExpectedStreamExists(new shared.Empty());
  if (expected === 'any') conflict.setExpectedAny(new shared.Empty());
  return conflict;
}
