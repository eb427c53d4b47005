import { actorTypes, formatInstant, isEventId, isEventType, isName, isPosition, isPrincipalId, isRefusal, maxFilterLength, parseDuration, parseHeader, parseInstant, parseLabel, parsePattern, parsePrincipal, parseRetrySchedule, parseSite, type Principal, type Site, wrongHeaders } from '#kernel';
import { parseSigningSecret } from '#webhook-sender/signing';
import { JsonText } from './json.ts';

/** What the text of a flag must look like. `read` answers undefined when it does not. */
export interface Form<T> {
  /** Completes "expected …". */
  readonly expected: string;
  /** The value is a secret: an error must not repeat it. */
  readonly secret?: true;
  read(text: string): T | undefined;
}

const matching = (expected: string, valid: (text: string) => boolean): Form<string> => ({ expected, read: (text) => (valid(text) ? text : undefined) });

export const oneOf = <T extends string>(...values: readonly T[]): Form<T> => ({
  expected: `one of ${values.join(', ')}`,
  read: (text) => values.find((value) => value === text),
});

/** Several of them, separated by commas. */
export const manyOf = <T extends string>(values: readonly T[]): Form<readonly T[]> => ({
  expected: `some of ${values.join(', ')}, separated by commas`,
  read: (given) => {
    const all = given.split(',').map((item) => values.find((value) => value === item));
    return all.every((item) => item !== undefined) ? all : undefined;
  },
});

/** The same, or null where the text is empty: what was there is taken away. */
export const clearable = <T>(form: Form<T>): Form<T | null> => ({ ...form, expected: `${form.expected}, or an empty one`, read: (given) => (given === '' ? null : form.read(given)) });

export const name = matching('1 to 63 of a-z, 0-9, _ and -, starting with a letter or digit', isName);
/** The id of a resource: also a command type, because a policy is named by the command it gates. */
export const resourceId = matching(`an id (${name.expected}) or a command type`, (text) => isName(text) || /^[A-Z][A-Za-z]{0,62}$/.test(text));
/** The commands a policy may gate. */
export const gateable = oneOf(
  'UpsertWebhookSubscription',
  'PauseWebhookSubscription',
  'ResumeWebhookSubscription',
  'DeleteWebhookSubscription',
  'RestoreWebhookSubscription',
  'RotateWebhookSubscriptionSecret',
  'ReplayWebhookDelivery',
  'SetApprovalPolicy',
);
/** Any command, also of a newer server. */
export const commandType = matching('a command type such as RotateWebhookSubscriptionSecret', (text) => /^[A-Z][A-Za-z]{0,62}$/.test(text));
export const actorType = oneOf(...actorTypes);
export const principalId = matching('1 to 128 visible ASCII characters without a comma', isPrincipalId);
export const text = (maxLength: number): Form<string> => matching(`text of 1 to ${maxLength} characters`, (given) => given.trim() !== '' && given.length <= maxLength);
/** An idempotency key, or an event's id: a published event's id is its key. */
export const key = matching('1 to 255 visible ASCII characters', isEventId);

const principalForm = `TYPE:ID with TYPE one of ${actorTypes.join(', ')}`;
export const principal: Form<Principal> = { expected: principalForm, read: parsePrincipal };
export const principals: Form<readonly Principal[]> = {
  expected: `${principalForm}, several separated by commas`,
  read: (given) => {
    const all = given.split(',').map((item) => parsePrincipal(item.trim()));
    return all.every((item) => item !== undefined) ? all : undefined;
  },
};
export const person: Form<Principal> = {
  expected: 'USER:ID (a person)',
  read: (given) => {
    const owner = parsePrincipal(given);
    return owner?.type === 'USER' ? owner : undefined;
  },
};
export const site: Form<Site> = { expected: 'a site: <tenant> or <tenant>.<environment>', read: parseSite };

export const yesOrNo: Form<boolean> = { expected: 'true or false', read: (given) => ({ true: true, false: false })[given] };

export const wholeNumber = (least: number, most: number): Form<number> => ({
  expected: most === Number.MAX_SAFE_INTEGER ? `a whole number, at least ${least}` : `a whole number from ${least} to ${most}`,
  read: (given) => (/^\d{1,16}$/.test(given) && Number(given) >= least && Number(given) <= most ? Number(given) : undefined),
});
export const revision = wholeNumber(0, Number.MAX_SAFE_INTEGER);
export const position = matching('a position in the log, as answers and tables show it; 0 is before the first event', isPosition);

export const eventType = matching('a dotted event type such as version.published (a-z, 0-9, _ and - between dots, at most 200 characters)', isEventType);
export const eventPattern = matching(
  'a pattern such as version.*,claim.** (comma-separated, no blanks; between dots a-z, 0-9, _ and -, or * for one segment, ** for any number)',
  (given) => Array.isArray(parsePattern(given)),
);

const webUrl = (given: string): URL | undefined => {
  const url = URL.parse(given);
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '' ? url : undefined;
};
const urlForm = 'an http: or https: URL without user and password';
export const targetUrl = matching(urlForm, (given) => webUrl(given) !== undefined);
/** The server's address without a slash at its end; a path before the API's is kept. */
export const server: Form<string> = {
  expected: `${urlForm}, query and fragment`,
  read: (given) => {
    const url = webUrl(given);
    return url === undefined || url.search !== '' || url.hash !== '' ? undefined : url.href.replace(/\/+$/, '');
  },
};
export const apiKey: Form<string> = { ...matching('an API key: visible ASCII characters', (given) => /^[\x21-\x7e]+$/.test(given)), secret: true };

export const signingSecretRef: Form<string> = {
  ...matching('managed, whsec_… (base64), env:KF_WEBHOOK_SECRET_<NAME> or file:<name>', (given) =>
    /^(managed|whsec_[A-Za-z0-9+/_-]+=*|env:KF_WEBHOOK_SECRET_[A-Z0-9_]+|file:[^\s/\\]+)$/.test(given)),
  secret: true,
};

/** A signing secret itself, as receivers hold it. */
export const signingSecret: Form<string> = {
  ...matching('a signing secret: whsec_ and the base64, with its padding, of 24 to 64 bytes', (given) => !isRefusal(parseSigningSecret(given))),
  secret: true,
};
/** Which of the matching events: the server says whether it is an expression that filters can have. */
export const filter = text(maxFilterLength);
/** How long one request to a receiver may take, in milliseconds. */
export const timeoutMs = wholeNumber(1_000, 30_000);
/** Requests to a receiver in a second. */
export const rateLimit = wholeNumber(1, 1_000);
/** The pauses before the attempts at a delivery. */
export const retrySchedule = matching('pauses before the attempts such as 0s,5s,5m: 1 to 30, the first 0s, at most 7d between two; units ms, s, m, h and d', (given) => !('malformed' in parseRetrySchedule(given)));
export const label: Form<readonly [name: string, value: string]> = {
  expected: 'NAME=VALUE with a name of 1 to 63 of a-z, 0-9, _, . and -, starting with a letter or digit, and a value of 1 to 255 visible ASCII characters',
  read: parseLabel,
};
/** A header that requests have too. */
export const header: Form<readonly [name: string, value: string]> = {
  expected: "NAME=VALUE with a name of 1 to 128 letters, digits and !#$%&'*+-.^_`|~ that is not reserved, and a value of visible Latin-1 characters with blanks and tabs only between them",
  secret: true,
  read: (given) => {
    const pair = parseHeader(given);
    return pair === undefined || wrongHeaders([pair]) !== undefined ? undefined : pair;
  },
};
export const deliveryMode = oneOf('AT_LEAST_ONCE', 'ORDERED', 'BEST_EFFORT');

const scopeText = /^(admin|site:([^:]+):(read|write|approve|audit))$/;
export const scope = matching('admin or site:<site>:<read|write|approve|audit>, where <site> is a site, <tenant>.* or *', (given) => {
  const match = scopeText.exec(given);
  if (match === null) return false;
  const [, , sites = '*'] = match;
  return sites === '*' || parseSite(sites.replace(/\.\*$/, '')) !== undefined;
});

/** A length of time, in whole seconds. */
export const duration: Form<number> = {
  expected: 'a length of time such as 30s, 15m, 24h or 7d',
  read: (given) => {
    const lengthMs = parseDuration(given);
    return lengthMs === undefined || lengthMs % 1_000 !== 0 ? undefined : lengthMs / 1_000;
  },
};

/** A point in time, as RFC 3339 text: the given text itself, or so long after now. */
export type Moment = (nowMs: number) => string;

const farthestMs = 3_650 * 86_400_000;

const momentFrom = (words: string, away: (given: string) => number | undefined): Form<Moment> => ({
  expected: `RFC 3339 with an offset (2026-11-03T14:00:00Z) or ${words}`,
  read: (given) => {
    if (parseInstant(given) !== undefined) return () => given;
    const awayMs = away(given);
    return awayMs === undefined || Math.abs(awayMs) > farthestMs ? undefined : (nowMs) => formatInstant(nowMs + awayMs);
  },
});

export const moment = momentFrom('a time from now such as +30m, +2h or +3d', (given) => (given.startsWith('+') ? parseDuration(given.slice(1)) : undefined));
/** For what looks back. */
export const pastMoment = momentFrom('how long ago, such as 30m, 2h or 3d', (given) => {
  const agoMs = parseDuration(given.replace(/^-/, ''));
  return agoMs === undefined ? undefined : -agoMs;
});

export const json: Form<JsonText> = { expected: 'JSON text', read: (given) => JsonText.of(given) };

/** Who may vote: somebody by name, or `any`: every USER with a key of their own that may approve for the site. */
export const approver: Form<Principal | 'any'> = { expected: `${principalForm}, or any`, read: (given) => (given === 'any' ? given : parsePrincipal(given)) };
