import { formatInstant, type RecordedEvent } from '#kernel';
import { type Moment, momentsOf } from './explain-history.ts';

/** A version of a subscription's secret, and when it signs: alone or, until its grace ends, beside the next. */
export interface SecretSpan {
  readonly secretVersionId: string;
  readonly kind: 'CURRENT' | 'GRACE' | 'RETIRED';
  readonly from: string;
  /** Null while it is current. */
  readonly until: string | null;
}

/** A request that was sent, and with which versions it was signed. */
export interface SignedAttempt {
  readonly deliveryId: string;
  readonly secretVersionIds: readonly string[];
}

/** Which deliveries a version signed. */
export interface Signature extends SecretSpan {
  readonly attempts: number;
  readonly deliveries: number;
  /** The first of them. */
  readonly deliveryIds: readonly string[];
}

/** How many deliveries of a version are named. */
export const deliveriesNamed = 100;

interface Span {
  readonly versionId: string;
  readonly fromMs: number;
  untilMs: number | null;
}

/** Every version a subscription ever had, in the order they came, from its stream. */
export function secretSpans(stream: readonly RecordedEvent[], nowMs: number): readonly SecretSpan[] {
  const spans = new Map<string, Span>();
  for (const { fact } of momentsOf(stream)) {
    if (fact.type === 'WebhookSubscriptionCreated') spans.set(fact.data.secret.versionId, { versionId: fact.data.secret.versionId, fromMs: fact.recordedAt, untilMs: null });
    if (fact.type === 'WebhookSubscriptionSecretRotated') rotated(spans, fact);
    if (fact.type === 'WebhookSubscriptionPurged') for (const span of spans.values()) end(span, fact.recordedAt);
  }
  return [...spans.values()].map(({ versionId, fromMs, untilMs }) => ({
    secretVersionId: versionId,
    kind: untilMs === null ? 'CURRENT' : nowMs < untilMs ? 'GRACE' : 'RETIRED',
    from: formatInstant(fromMs),
    until: untilMs === null ? null : formatInstant(untilMs),
  }));
}

type Rotated = Extract<Moment['fact'], { readonly type: 'WebhookSubscriptionSecretRotated' }>;

function rotated(spans: Map<string, Span>, { data: { secret, previous, retired }, recordedAt }: Rotated): void {
  for (const versionId of retired) end(spans.get(versionId), recordedAt);
  if (previous !== null) end(spans.get(previous.versionId), Date.parse(previous.graceUntil));
  spans.set(secret.versionId, { versionId: secret.versionId, fromMs: recordedAt, untilMs: null });
}

/** It ends once, and a second rotation can only bring that forward. */
function end(span: Span | undefined, untilMs: number): void {
  if (span !== undefined) span.untilMs = Math.min(span.untilMs ?? Infinity, untilMs);
}

/** The versions that a rotation is about: the one it brought, and those that had signed until then. */
export function versionsOfRotation(stream: readonly RecordedEvent[], commandId: string): readonly string[] {
  const moments = momentsOf(stream);
  const index = moments.findIndex(({ fact }) => fact.type === 'WebhookSubscriptionSecretRotated' && fact.metadata['commandid'] === commandId);
  const [earlier, rotation] = [moments[index - 1]?.state, moments[index]?.fact];
  if (rotation?.type !== 'WebhookSubscriptionSecretRotated' || earlier === undefined || earlier.status === 'NONE') return [];
  return [...new Set([earlier.secret.versionId, ...rotation.data.retired, rotation.data.secret.versionId])];
}

/** What each version signed. */
export function signaturesOf(spans: readonly SecretSpan[], attempts: readonly SignedAttempt[]): readonly Signature[] {
  return spans.map((span) => {
    const own = attempts.filter(({ secretVersionIds }) => secretVersionIds.includes(span.secretVersionId));
    const deliveries = [...new Set(own.map(({ deliveryId }) => deliveryId))];
    return { ...span, attempts: own.length, deliveries: deliveries.length, deliveryIds: deliveries.slice(0, deliveriesNamed) };
  });
}
