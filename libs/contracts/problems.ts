/** Every way a request can be refused or fail: its HTTP status and a title that does not depend on the case. RFC 9457. */
export const problems = {
  'validation-failed': { status: 400, title: 'The request is not valid' },
  'site-required': { status: 400, title: 'A site is required' },
  'position-unknown': { status: 400, title: 'The position is beyond the end of the log' },
  'idempotency-key-missing': { status: 400, title: 'An idempotency key is required' },
  'idempotency-key-invalid': { status: 400, title: 'The idempotency key is not valid' },
  unauthenticated: { status: 401, title: 'A valid API key is required' },
  forbidden: { status: 403, title: 'The API key lacks the scope' },
  'actor-not-allowed': { status: 403, title: 'The API key may not act for this actor' },
  'approval-required': { status: 403, title: 'An approval is required' },
  'approval-pending': { status: 403, title: 'The approval is not decided yet' },
  'approval-expired': { status: 403, title: 'The approval has expired' },
  'approval-denied': { status: 403, title: 'The approval was denied' },
  'approval-withdrawn': { status: 403, title: 'The approval was withdrawn' },
  'approval-revoked': { status: 403, title: 'The approval was revoked' },
  'approval-invalidated': { status: 403, title: 'The approval is no longer valid' },
  'approver-conflict': { status: 403, title: 'The voter is in the chain of the requester' },
  'approver-not-eligible': { status: 403, title: 'Not an eligible approver' },
  'not-found': { status: 404, title: 'There is no such thing here' },
  'method-not-allowed': { status: 405, title: 'The method is not allowed on this path' },
  'idempotency-request-in-flight': { status: 409, title: 'A request with this idempotency key is under way' },
  'concurrent-modification': { status: 409, title: 'Somebody else changed it at the same time' },
  'approval-already-used': { status: 409, title: 'The approval was used already' },
  'approval-binding-mismatch': { status: 409, title: 'The approval is for something else' },
  'approval-not-pending': { status: 409, title: 'The approval is decided already' },
  'subscription-deleted': { status: 409, title: 'The subscription is deleted' },
  'secret-change-needs-rotation': { status: 409, title: 'A secret is changed by rotating it' },
  'delivery-not-replayable': { status: 409, title: 'The delivery cannot be replayed now' },
  'precondition-failed': { status: 412, title: 'The resource is at another revision' },
  'payload-too-large': { status: 413, title: 'The request is too large' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json' },
  'idempotency-key-reused': { status: 422, title: 'The idempotency key belongs to another request' },
  'target-url-refused': { status: 422, title: 'Deliveries may not go to this URL' },
  'precondition-required': { status: 428, title: 'The expected revision is required' },
  'too-many-probes': { status: 429, title: 'Too many probes are under way' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  'internal-error': { status: 500, title: 'Something went wrong here' },
  'outcome-unknown': { status: 503, title: 'It is not known yet whether it happened' },
  'projection-behind': { status: 503, title: 'The read model is behind' },
  'store-unavailable': { status: 503, title: 'The log cannot be reached' },
  'too-many-streams': { status: 503, title: 'Too many event streams are open' },
  'backup-failed': { status: 507, title: 'The log could not be copied' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>;

export type ProblemSlug = keyof typeof problems;

export const isProblemSlug = (text: string): text is ProblemSlug => Object.hasOwn(problems, text);

/** The `type` of a problem answer: a name, not a page that has to exist. */
export const problemType = (slug: ProblemSlug): string => `https://countersign.dev/problems/${slug}`;

/** One thing that is wrong with a request, and where: `payload.approvers[0].id`. The message says what would be right. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}
