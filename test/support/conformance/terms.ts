// What the vectors ask in the words of their suite, in the words of Countersign: postel-sh/postel, openspec/specs/compliance/spec.md, "Sender-side compliance driver mechanism".
import { createHash, randomUUID } from 'node:crypto';
import type { TranscriptDto } from '#contracts';
import { parseDuration } from '#kernel';

export type Asked = Readonly<Record<string, unknown>>;

/** Why something is not done. `NOT_SUPPORTED`: Countersign has no such thing, and it is not passed over in silence. */
export class NotTaken extends Error {
  override readonly name = 'NotTaken';
  readonly code: 'ENDPOINT_VALIDATION' | 'NOT_SUPPORTED' | 'INVALID_REQUEST';

  constructor(code: NotTaken['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const invalid = (message: string): NotTaken => new NotTaken('INVALID_REQUEST', message);

/** Throws at a field that is not among those that are known here, by its name. */
export function mustKnow(asked: Asked, where: string, known: readonly string[]): void {
  const unknown = Object.keys(asked).filter((field) => !known.includes(field));
  if (unknown.length > 0) throw new NotTaken('NOT_SUPPORTED', `${where}: Countersign has no ${unknown.join(', ')} (docs/conformance.md)`);
}

/** A field of text; undefined when it is not there. */
export function textIn(asked: Asked, field: string): string | undefined {
  const value = asked[field];
  if (value === undefined || typeof value === 'string') return value;
  throw invalid(`${field} must be text`);
}

export function requiredText(asked: Asked, field: string): string {
  const value = textIn(asked, field);
  if (value === undefined) throw invalid(`${field} is missing`);
  return value;
}

export function objectIn(asked: Asked, field: string): Asked {
  const value = asked[field] ?? {};
  if (typeof value !== 'object' || Array.isArray(value)) throw invalid(`${field} must be an object`);
  return value as Asked;
}

/** The pattern that a list of globs means; without one, everything. */
export function patternOf(types: unknown): string {
  if (types === undefined) return '**';
  if (!Array.isArray(types) || !types.every((type) => typeof type === 'string')) throw invalid('types must be a list of globs');
  return types.join(',');
}

/**
 * The `retrySchedule` that a retry policy means: the first attempt at once, then the pauses of its schedule, of which the last
 * one goes on, up to `maxAttempts`. The jitter is Countersign's own, whatever the policy says of it. Null: no policy.
 */
export function scheduleOf(policy: Asked): string | null {
  if (Object.keys(policy).length === 0) return null;
  mustKnow(policy, 'retryPolicy', ['schedule', 'maxAttempts', 'jitter']);
  const { schedule, maxAttempts } = policy;
  const pauses = (Array.isArray(schedule) ? schedule : []).map((pause) => (typeof pause === 'number' ? `${pause}ms` : String(pause)));
  if (pauses.length === 0 || pauses.some((pause) => parseDuration(pause) === undefined)) throw invalid('retryPolicy.schedule must be a list of durations such as ["100ms", "5s"]');
  if (!Number.isInteger(maxAttempts) || Number(maxAttempts) < 1 || Number(maxAttempts) > 30) throw invalid('retryPolicy.maxAttempts must be a whole number from 1 to 30');
  return ['0s', ...Array.from({ length: Number(maxAttempts) - 1 }, (_, index) => pauses[Math.min(index, pauses.length - 1)])].join(',');
}

/** The `timeoutMs` that `http` means; undefined when it says none. Whether it may be so long is for the server to say. */
export function timeoutMsOf(http: Asked): number | undefined {
  mustKnow(http, 'http', ['requestTimeout']);
  const timeout = textIn(http, 'requestTimeout');
  const timeoutMs = timeout === undefined ? undefined : parseDuration(timeout);
  if (timeout !== undefined && timeoutMs === undefined) throw invalid('http.requestTimeout must be a duration such as "5s"');
  return timeoutMs;
}

/** By what so much time is to pass. */
export function advanceOf(asked: Asked, nowMs: number): number {
  const until = textIn(asked, 'to_iso8601');
  const byMs = until === undefined ? asked['ms'] : Math.max(0, Date.parse(until) - nowMs);
  if (typeof byMs !== 'number' || !(byMs >= 0)) throw invalid('ms must be a number that is not negative, or to_iso8601 a time');
  return byMs;
}

/** The same key of the same tenant is the same message. */
export function messageIdOf(tenant: string, idempotencyKey: string | undefined): string {
  const distinct = idempotencyKey === undefined ? randomUUID() : createHash('sha256').update(`${tenant}\n${idempotencyKey}`).digest('hex');
  return `msg_${distinct.replaceAll('-', '').slice(0, 32)}`;
}

/** What came of an attempt, in the words of the suite. */
export function attemptStatusOf({ decision: { next }, error, response }: TranscriptDto): string {
  if (next === 'DELIVERED') return 'success';
  if (error === 'target-refused') return 'ssrf-blocked';
  if (next === 'SCHEDULED') return 'failed';
  return response?.status === 410 ? 'failed-permanent' : 'dead-letter';
}
