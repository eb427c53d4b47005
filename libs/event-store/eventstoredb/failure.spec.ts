import { describe, expect, it } from '@jest/globals';
import {
  DeadlineExceededError,
  MaxAppendSizeExceededError,
  NotLeaderError,
  StreamDeletedError,
  TimeoutError,
  UnavailableError,
  UnknownError,
  WrongExpectedVersionError,
} from '@eventstore/db-client';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { appendFailure, isRefusedPlace, kindOf, readFailure, wordsOf } from './failure.ts';

const grpcError = (code: number, details: string, trailers: Record<string, string> = {}): ServiceError => {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value);
  return Object.assign(new Error(`${code} X: ${details}`), { code, details, metadata });
};
const notLeader = grpcError(5, 'Leader info available', { exception: 'not-leader', 'leader-endpoint-host': '127.0.0.1', 'leader-endpoint-port': '2113' });

describe('what an append that failed comes to', () => {
  const cases: readonly [string, unknown, string][] = [
    ['a conflict, as the client says it, without words', new WrongExpectedVersionError(undefined, { streamName: 'orders-a', expected: 'no_stream', current: 4n }), 'WrongExpectedRevision'],
    ['a conflict, as a trailer', grpcError(9, 'Append failed', { exception: 'wrong-expected-version', 'actual-version': '4' }), 'WrongExpectedRevision'],
    ['a removed stream, without words', StreamDeletedError.fromStreamName('orders-a'), 'StreamTombstoned'],
    ['a removed stream, as a trailer', grpcError(9, 'deleted', { exception: 'stream-deleted' }), 'StreamTombstoned'],
    ['too large, without words', MaxAppendSizeExceededError.fromMaxAppendSize(1024), 'AppendTooLarge'],
    ['too large, as a trailer', grpcError(3, 'too large', { exception: 'maximum-append-size-exceeded', 'maximum-append-size': '1024' }), 'AppendTooLarge'],
    ['not the leader', notLeader, 'StoreUnavailable'],
    ['not the leader, as the client says it', new NotLeaderError(notLeader), 'StoreUnavailable'],
    ['no right to write', grpcError(7, 'Access Denied', { exception: 'access-denied' }), 'StoreUnavailable'],
    ['not ready', grpcError(14, 'Server Is Not Ready'), 'StoreUnavailable'],
    ['not ready, as the client says it of a batch', new UnknownError(undefined, 'Could not recognize Server Is Not Ready'), 'StoreUnavailable'],
    ['busy', grpcError(14, 'Server Is Busy'), 'StoreUnavailable'],
    ['never connected', grpcError(14, 'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:2113'), 'StoreUnavailable'],
    ['no node found', new Error('Failed to discover after 10 attempts.'), 'StoreUnavailable'],
    ['a connection that broke', grpcError(14, 'Connection dropped'), 'OutcomeUnknown'],
    ['a connection that broke, as the client says it', new UnavailableError(grpcError(14, 'read ECONNRESET')), 'OutcomeUnknown'],
    ['a timeout of the server', grpcError(10, 'Timeout', { exception: 'timeout' }), 'OutcomeUnknown'],
    ['a timeout, as the client says it', new TimeoutError(grpcError(10, '')), 'OutcomeUnknown'],
    ['a deadline', new DeadlineExceededError(), 'OutcomeUnknown'],
    ['a server that shuts down', grpcError(1, 'Server shutting down'), 'OutcomeUnknown'],
    ['an error of no known kind', new Error('something else'), 'OutcomeUnknown'],
    ['what is no error', 'text', 'OutcomeUnknown'],
    ['nothing', undefined, 'OutcomeUnknown'],
  ];
  for (const [name, error, expected] of cases) {
    it(`${name}: ${expected}`, () => {
      expect(appendFailure(error, true, 'orders-a', 'NO_STREAM').name).toBe(expected);
    });
  }

  it('is surely not written as long as nothing was sent', () => {
    expect(appendFailure(new Error('something else'), false, 'orders-a', 3).name).toBe('StoreUnavailable');
  });

  it('says where the stream is, from either form of a conflict', () => {
    for (const [, error] of cases.slice(0, 2)) expect(appendFailure(error, true, 'orders-a', 'NO_STREAM')).toMatchObject({ stream: 'orders-a', expected: 'NO_STREAM', actual: 4 });
    expect(appendFailure(grpcError(9, '', { exception: 'wrong-expected-version' }), true, 'orders-a', 4)).toMatchObject({ actual: 'NO_STREAM' });
  });
});

describe('an error of many shapes', () => {
  it('is named by its type, its trailer, its code, or its message', () => {
    expect([new TimeoutError(grpcError(10, '')), notLeader, grpcError(14, 'x'), new Error('words'), 'text', undefined].map(kindOf)).toEqual(['timeout', 'not-leader', 'unavailable', 'words', 'text', 'an error without words']);
  });

  it('has words, also when its message is empty', () => {
    expect([StreamDeletedError.fromStreamName('orders-a'), grpcError(14, 'Connection dropped'), new Error('words'), {}].map(wordsOf)).toEqual(['stream-deleted', 'Connection dropped', 'words', 'an error without words']);
    expect(readFailure(grpcError(14, 'Connection dropped')).message).toBe("EventStoreDB can't be read: Connection dropped");
  });

  it('refuses a place in the log, and not the reader', () => {
    expect([grpcError(2, 'no record there'), grpcError(14, 'Connection dropped'), grpcError(9, 'deleted', { exception: 'stream-deleted' }), new Error('x')].map(isRefusedPlace)).toEqual([true, false, false, false]);
  });
});
