import { AppendTooLarge, type ExpectedRevision, maxAppendBytes, OutcomeUnknown, StoreUnavailable, StreamTombstoned, WrongExpectedRevision } from '../port.ts';

/** An error of the client or of gRPC, whose shapes have nothing in common: every field may be missing. */
interface Shape {
  readonly type?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly details?: unknown;
  readonly actualVersion?: unknown;
  readonly metadata?: { get?(name: string): readonly unknown[] };
}

const codes: Readonly<Record<number, string>> = { 1: 'cancelled', 4: 'deadline-exceeded', 5: 'not-found', 7: 'access-denied', 10: 'timeout', 14: 'unavailable', 16: 'access-denied' };

const shapeOf = (error: unknown): Shape => (typeof error === 'object' && error !== null ? error : { message: error });
const textOf = (value: unknown): string | undefined => (typeof value === 'string' || value instanceof Buffer ? String(value) : undefined);
const trailer = ({ metadata }: Shape, name: string): string | undefined => textOf(metadata?.get?.(name)[0]);

/** What the server or the client calls an error: its type, the trailer `exception`, its gRPC code, or its message. */
export function kindOf(error: unknown): string {
  const shape = shapeOf(error);
  const code = typeof shape.code === 'number' ? codes[shape.code] : undefined;
  return textOf(shape.type) ?? trailer(shape, 'exception') ?? code ?? wordsOf(error);
}

/** The error in words, for people: several of the client's have an empty message. */
export function wordsOf(error: unknown): string {
  const { details, message, type } = shapeOf(error);
  return [details, message, type].map(textOf).find((text) => text !== undefined && text !== '') ?? 'an error without words';
}

/** Refused before anything was written: the server said so, or nothing ever reached it. */
const notWritten = new Set(['not-leader', 'access-denied', 'invalid-transaction', 'unsupported', 'user-not-found']);
const refusals = /server is not ready|server is busy|server is too busy|no connection established|name resolution failed|failed to discover|channel has been shut ?down/i;

/** What an append that failed comes to. `sent` is false while nothing can have reached the server. */
export function appendFailure(error: unknown, sent: boolean, stream: string, expected: ExpectedRevision): Error {
  const kind = kindOf(error);
  switch (kind) {
    case 'wrong-expected-version':
      return new WrongExpectedRevision(stream, expected, actualOf(shapeOf(error)));
    case 'stream-deleted':
      return new StreamTombstoned(stream);
    case 'maximum-append-size-exceeded':
      // Ours is the lower limit: only an event that it does not know of can be over the server's, and it says how many bytes that are.
      return new AppendTooLarge(Number(trailer(shapeOf(error), 'maximum-append-size') ?? maxAppendBytes));
    default:
      return unsettled(error, kind, sent);
  }
}

function unsettled(error: unknown, kind: string, sent: boolean): Error {
  const words = wordsOf(error);
  if (!sent || notWritten.has(kind) || refusals.test(words)) return new StoreUnavailable(`EventStoreDB did not take the append: ${words}`);
  return new OutcomeUnknown(`EventStoreDB did not say what came of the append: ${words}`);
}

function actualOf(shape: Shape): ExpectedRevision {
  const actual = typeof shape.actualVersion === 'bigint' ? shape.actualVersion : trailer(shape, 'actual-version');
  return actual === undefined || Number(actual) < 0 ? 'NO_STREAM' : Number(actual);
}

/** The server answered, but not for this place in the log. */
export const isRefusedPlace = (error: unknown): boolean => [2, 3, 9, 11, 13].includes(Number(shapeOf(error).code)) && kindOf(error) !== 'stream-deleted';

/** What a read that failed comes to. */
export const readFailure = (error: unknown): StoreUnavailable => (error instanceof StoreUnavailable ? error : new StoreUnavailable(`EventStoreDB can't be read: ${wordsOf(error)}`));
