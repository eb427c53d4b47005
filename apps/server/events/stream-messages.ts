import { wireBody } from '#deliveries';
import { type Position, type Site, siteKey } from '#kernel';
import { readPublishedEvent, type PublishedEvent } from '#publishing';
import { globMatches, namesOperationalEvents, parsePattern } from '#subscriptions';
import { invalid } from '../http/problem.ts';
import type { StreamMessage } from '../http/event-stream.ts';
import { ReadAhead } from '../http/read-ahead.ts';
import type { LogReader } from '../parts.ts';
import type { Arrivals } from './stream-arrivals.ts';

/** Which events a stream is asked for. */
export type Wanted = (event: Pick<PublishedEvent, 'type' | 'operational'>) => boolean;

/** The events of a pattern; without one, all that publishers publish. Operational events are for those who name them, as for subscriptions. */
export function wantedBy(pattern: string | undefined): Wanted {
  if (pattern === undefined) return ({ operational }) => !operational;
  const globs = parsePattern(pattern);
  if ('malformed' in globs) throw invalid('events', `must be a pattern such as version.*,claim.**: it ${globs.malformed}`);
  return ({ type, operational }) => globs.some((glob) => (!operational || namesOperationalEvents(glob)) && globMatches(glob, type));
}

/** The wanted events of a site after a position, in log order, as receivers get them; goes on with those to come until the signal aborts. */
export async function* eventMessages(log: Pick<LogReader, 'readAll'>, arrivals: Arrivals, asked: { readonly site: Site; readonly after: Position; readonly wanted: Wanted }, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  const ahead = new ReadAhead(log, { prefixes: [`event-${siteKey(asked.site)}.`] });
  let { after } = asked;
  while (!signal.aborted) {
    const growth = await arrivals.of(asked.site);
    const { count } = growth;
    const { events, position, caughtUp } = await ahead.after(after);
    for (const event of events.map(readPublishedEvent).filter(asked.wanted)) yield { event: 'event', id: event.position, data: wireBody(event) };
    after = position;
    if (caughtUp) await growth.since(count, signal);
  }
}
