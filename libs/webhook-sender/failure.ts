import { errors } from 'undici';
import type { AttemptError } from './transcript.ts';

/** A connection that could not be made, and in which step. The cause is the raw error. */
export class ConnectFailure extends Error {
  override readonly name = 'ConnectFailure';
  readonly failure: AttemptError;
  constructor(failure: AttemptError, cause: unknown) {
    super(failure, { cause });
    this.failure = failure;
  }
}

/** The code of whatever undici, a socket or our connector failed with. */
export function attemptErrorOf(error: Error): AttemptError {
  if (error instanceof ConnectFailure) return error.failure;
  if (error instanceof errors.HTTPParserError) return error.code === 'HPE_HEADER_OVERFLOW' ? 'headers-too-large' : 'protocol-error';
  if (error instanceof errors.HeadersOverflowError) return 'headers-too-large';
  // undici reports an answer that no request asked for, or an unwanted upgrade, as a socket error with these words.
  if (error instanceof errors.SocketError) return /^bad (response|upgrade)$/.test(error.message) ? 'protocol-error' : 'connection-reset';
  return 'syscall' in error ? 'connection-reset' : 'protocol-error';
}

/** The raw error, without what the receiver sent: undici adds what it can't read of that, which may be our own request with its secrets. */
export function withoutAnswer(error: Error): Error {
  if (error instanceof errors.HTTPParserError) Reflect.deleteProperty(error, 'data');
  return error;
}
