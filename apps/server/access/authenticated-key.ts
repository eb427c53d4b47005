import type { KeyActors, Scope } from '#access';
import type { Caller } from '#command-pipeline';

/** What a request's API key says: who the caller is, whom it may act for, and what it may do. */
export interface AuthenticatedKey extends Caller, KeyActors {
  readonly name: string;
  readonly scopeTexts: readonly string[];
  readonly scopes: readonly Scope[];
  /** Milliseconds since 1970 UTC, or null. */
  readonly expiresOnMs: number | null;
}
