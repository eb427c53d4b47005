import { actorTypes, hiddenValue, isEventId, isEventType, isLabelName, isLabelValue, isName, isPosition, isPrincipalId, maxCustomHeaderBytes, maxCustomHeaders, maxFilterLength, maxLabels, maxPatternLength, parseInstant, parsePattern, parseRetrySchedule, wrongHeaders } from '#kernel';

/** A JSON schema (OpenAPI 3.1). */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A kind of value on the wire: how to tell it, how to describe it to a person (`right` completes "must be …") and to a machine. */
export interface Kind {
  readonly right: string;
  readonly schema: JsonSchema;
  matches(value: unknown): boolean;
  /** What exactly is wrong with a value that does not match, where that can be told without repeating it. Absent: that it must be what is right. */
  wrong?(value: unknown): string | undefined;
}

export const string = (right: string, schema: JsonSchema, valid: (text: string) => boolean): Kind => ({
  right,
  schema: { type: 'string', ...schema },
  matches: (value) => typeof value === 'string' && valid(value),
});

export const name = string('1 to 63 characters of a-z, 0-9, _ and -, starting with a letter or digit', { pattern: '^[a-z0-9][a-z0-9_-]{0,62}$' }, isName);

const commandTypePattern = /^[A-Z][A-Za-z]{0,62}$/;
/** Policies are the only resources with capitals in their id: they are named by the command they gate. */
export const resourceId = string(`an id (${name.right}) or a command type`, { pattern: '^([a-z0-9][a-z0-9_-]{0,62}|[A-Z][A-Za-z]{0,62})$' }, (text) => isName(text) || commandTypePattern.test(text));

export const eventId = string('1 to 255 visible ASCII characters', { minLength: 1, maxLength: 255, pattern: '^[!-~]+$' }, isEventId);

export const eventType = string(
  'dotted segments of a-z, 0-9, _ and - such as version.published, at most 200 characters',
  { maxLength: 200, pattern: '^[a-z0-9_-]+(\\.[a-z0-9_-]+)*$' },
  isEventType,
);

export const eventPattern = string(
  'comma-separated globs such as version.*,claim.** without blanks: dotted segments of a-z, 0-9, _ and -, * for one segment, ** for any number',
  { maxLength: maxPatternLength, pattern: '^([a-z0-9_-]+|\\*\\*?)([.,]([a-z0-9_-]+|\\*\\*?))*$' },
  (text) => Array.isArray(parsePattern(text)),
);

const isRetrySchedule = (given: string): boolean => given.length <= 400 && !('malformed' in parseRetrySchedule(given));
const scheduleLimits = '1 to 30 attempts, the first 0s, at most 7d between two; units ms, s, m, h and d';

export const retrySchedule = string(`the pauses before the attempts, such as 0s,5s,5m: ${scheduleLimits}`, { maxLength: 400 }, isRetrySchedule);

/** The same as a list: what answers say. */
export const retryPauses: Kind = {
  right: `a list of pauses such as ["0s", "5s", "5m"]: ${scheduleLimits}`,
  schema: { type: 'array', minItems: 1, maxItems: 30, items: { type: 'string', pattern: '^[0-9]{1,9}(ms|s|m|h|d)$' } },
  matches: (value) => Array.isArray(value) && value.every((item) => typeof item === 'string' && !item.includes(',')) && isRetrySchedule(value.join(',')),
};

/** In either form. */
export const retrySchedules: Kind = {
  right: `the pauses before the attempts, as a list such as ["0s", "5s", "5m"] or as one text such as 0s,5s,5m: ${scheduleLimits}`,
  schema: { oneOf: [retryPauses.schema, retrySchedule.schema] },
  matches: (value) => retryPauses.matches(value) || retrySchedule.matches(value),
};

export const webUrl = string('an absolute http or https URL, at most 2048 characters', { format: 'uri', maxLength: 2048 }, (text) => {
  const url = text.length <= 2048 && /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  return url !== null;
});

export const instant = string('an RFC 3339 time with an offset, such as 2026-11-03T14:00:00Z', { format: 'date-time' }, (text) => parseInstant(text) !== undefined);

export const position = string('a position as an answer gave it: decimal digits', { pattern: '^(0|[1-9][0-9]{0,19})$' }, isPosition);

export const principalId = string('1 to 128 visible ASCII characters without a comma', { minLength: 1, maxLength: 128, pattern: '^[!-+\\--~]+$' }, isPrincipalId);

export const text = (maxLength: number): Kind =>
  string(`text of 1 to ${maxLength} characters that is not blank`, { minLength: 1, maxLength }, (given) => given.length <= maxLength && given.trim() !== '');

/** Whether it is an expression, and one that filters can have, the command finds out. */
export const filter = text(maxFilterLength);

/** Its value may hold a secret; no message repeats it. */
export const signingSecretRef = string(
  'managed, whsec_<base64 of 24 to 64 bytes>, env:KF_WEBHOOK_SECRET_<NAME> or file:<name>',
  { maxLength: 256 },
  (given) => /^(managed|whsec_[A-Za-z0-9+/]{32,88}={0,2}|env:KF_WEBHOOK_SECRET_[A-Z0-9_]{1,64}|file:[A-Za-z0-9][A-Za-z0-9._-]{0,127})$/.test(given),
);

const scopeForm = /^(?:admin|site:(?:\*|[a-z0-9][a-z0-9_-]{0,62}(?:\.(?:\*|[a-z0-9][a-z0-9_-]{0,62}))?):(?:read|write|approve|audit))$/;
export const scope = string(
  'admin or site:<site>:<read|write|approve|audit>, where <site> is a site, <tenant>.* or *',
  { pattern: scopeForm.source },
  (given) => scopeForm.test(given),
);

export const oneOf = (...values: readonly string[]): Kind => ({
  right: `one of ${values.join(', ')}`,
  schema: { type: 'string', enum: values },
  matches: (value) => typeof value === 'string' && values.includes(value),
});

export const actorType = oneOf(...actorTypes);

export const flag: Kind = { right: 'true or false', schema: { type: 'boolean' }, matches: (value) => typeof value === 'boolean' };

export const whole = (minimum: number, maximum: number = Number.MAX_SAFE_INTEGER): Kind => ({
  right: maximum === Number.MAX_SAFE_INTEGER ? `a whole number, at least ${minimum}` : `a whole number from ${minimum} to ${maximum}`,
  schema: { type: 'integer', minimum, ...(maximum === Number.MAX_SAFE_INTEGER ? {} : { maximum }) },
  matches: (value) => Number.isSafeInteger(value) && (value as number) >= minimum && (value as number) <= maximum,
});

export const number: Kind = { right: 'a number', schema: { type: 'number' }, matches: (value) => typeof value === 'number' };

export const jsonObject: Kind = {
  right: 'a JSON object',
  schema: { type: 'object', additionalProperties: true },
  matches: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

/** Names in lower case, each with its text. */
export const headers: Kind = {
  right: 'a JSON object of texts',
  schema: { type: 'object', additionalProperties: { type: 'string' } },
  matches: (value) => jsonObject.matches(value) && Object.values(value as object).every((text) => typeof text === 'string'),
};

const labelName = '^[a-z0-9][a-z0-9_.-]{0,62}$';

/** Names with a value each. */
export const labels: Kind = {
  right: `a JSON object of at most ${maxLabels} labels such as {"team": "orders"}: names of 1 to 63 characters of a-z, 0-9, _, . and -, beginning with a letter or digit; values of 1 to 255 visible ASCII characters`,
  schema: { type: 'object', maxProperties: maxLabels, propertyNames: { pattern: labelName }, additionalProperties: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' } },
  matches: (value) => headers.matches(value) && Object.keys(value as object).length <= maxLabels && Object.entries(value as object).every(([name, text]) => isLabelName(name) && isLabelValue(text as string)),
};

const ownHeadersOf = (value: unknown): string | undefined => (headers.matches(value) ? wrongHeaders(Object.entries(value as Readonly<Record<string, string>>)) : undefined);

/** Headers that every request to a receiver has too. No message repeats a value. */
export const ownHeaders: Kind = {
  right: `a JSON object of at most ${maxCustomHeaders} headers with a text each, such as {"X-Api-Key": "…"}`,
  schema: { type: 'object', maxProperties: maxCustomHeaders, propertyNames: { pattern: "^[0-9A-Za-z][!#$%&'*+.^_`|~0-9A-Za-z-]{0,127}$" }, additionalProperties: { type: 'string', maxLength: maxCustomHeaderBytes } },
  matches: (value) => headers.matches(value) && ownHeadersOf(value) === undefined,
  wrong: ownHeadersOf,
};

/** The same as answers show them. */
export const shownHeaders: Kind = {
  right: `a JSON object of headers, each with ${hiddenValue}`,
  schema: { type: 'object', additionalProperties: { type: 'string', const: hiddenValue } },
  matches: (value) => headers.matches(value),
};

/** Any JSON value at all. */
export const json: Kind = { right: 'a JSON value', schema: {}, matches: (value) => value !== undefined };
