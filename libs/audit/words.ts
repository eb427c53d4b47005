import { formatInstant, formatPrincipal, type Metadata, parsePrincipal, type Position, type Principal } from '#kernel';

/** What a sentence needs of an event: where and when it stands, and its envelope. */
export interface Told {
  readonly position: Position;
  readonly recordedAt: number;
  readonly metadata: Metadata;
}

/** Who did it, as the envelope says; null where it says nobody. */
export const actorIn = (metadata: Metadata): Principal | null => parsePrincipal(`${metadata['actortype']}:${metadata['actorid']}`) ?? null;

/** `USER:sam`, `AGENT:bot (for USER:sam)`. */
export function who({ metadata }: Pick<Told, 'metadata'>): string {
  const actor = actorIn(metadata);
  if (actor === null) return 'somebody';
  const behalf = metadata['onbehalfof'];
  return behalf === undefined ? formatPrincipal(actor) : `${formatPrincipal(actor)} (for ${behalf.replaceAll(',', ', ')})`;
}

/** `at position 12 (2026-01-01T00:00:00.000Z)`. */
export const where = ({ position, recordedAt }: Pick<Told, 'position' | 'recordedAt'>): string => `at position ${position} (${formatInstant(recordedAt)})`;

/** What an attempt came to: `status 503`, `timeout`. */
export const cameTo = ({ status, error }: { readonly status: number | null; readonly error: string | null }): string => (status === null ? (error ?? 'no answer') : `status ${status}`);
