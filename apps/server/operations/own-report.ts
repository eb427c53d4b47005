import type { ProcessReport } from '#coordination/processes';
import { comparePositions, formatInstant, type Position } from '#kernel';
import type { Projections, ServerFacts } from '../parts.ts';
import type { Readiness } from './readiness.ts';

/** What this process says of itself, now. */
export function ownReport({ version, startedAtMs, sharing }: ServerFacts, { ready, because, head }: Readiness, projections: Pick<Projections, 'status'>): ProcessReport {
  const standings = projections.status();
  const earlier = (one: Position, other: Position): Position => (comparePositions(one, other) <= 0 ? one : other);
  return {
    ...sharing.own,
    version,
    startedAt: formatInstant(startedAtMs),
    ready,
    because,
    position: standings.map(({ position }) => position).reduce(earlier, standings[0]?.position ?? head ?? '0'),
    behindMs: Math.max(0, ...standings.map(({ behindMs }) => behindMs)),
    ...sharing.doing(),
  };
}
