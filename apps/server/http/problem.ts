import { isProblemSlug, type ProblemDto, problems, type ProblemSlug, problemType } from '#contracts';
import type { Refusal } from '#kernel';

/** Ends a request with a problem answer: how refusals leave the HTTP shell. */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly slug: ProblemSlug;
  readonly detail: string;
  readonly members: Readonly<Record<string, unknown>>;

  constructor(slug: ProblemSlug, detail: string, members: Readonly<Record<string, unknown>> = {}) {
    super(`${slug}: ${detail}`);
    this.slug = slug;
    this.detail = detail;
    this.members = members;
  }

  get status(): number {
    return problems[this.slug].status;
  }
}

/** The problem that a refusal is. A code that is no slug of the contract is a mistake of ours. */
export function problemOf({ refused, detail, members }: Refusal): Problem {
  if (!isProblemSlug(refused)) throw new TypeError(`"${refused}" is not a problem of the contract`);
  return new Problem(refused, detail, members);
}

export const invalid = (path: string, message: string): Problem => new Problem('validation-failed', `${path} ${message}.`, { errors: [{ path, message }] });

/** Members of a problem document that do not depend on the request. RFC 9457, section 3.1. */
export const problemBody = ({ slug, detail, members }: Problem): Pick<ProblemDto, 'type' | 'title' | 'status' | 'detail'> => ({
  type: problemType(slug),
  title: problems[slug].title,
  status: problems[slug].status,
  detail,
  ...withoutHints(members),
});

/** How long a client should wait before it tries again; goes into `Retry-After`. RFC 9110, section 10.2.3. */
export function retryAfterSeconds({ slug, members }: Problem): number | undefined {
  const given = members['retryAfterSeconds'];
  if (typeof given === 'number') return given;
  return slug === 'idempotency-request-in-flight' || slug === 'outcome-unknown' || slug === 'too-many-probes' || slug === 'projection-behind' || slug === 'store-unavailable' ? 1 : undefined;
}

const withoutHints = ({ retryAfterSeconds: _seconds, ...rest }: Readonly<Record<string, unknown>>): object => rest;
