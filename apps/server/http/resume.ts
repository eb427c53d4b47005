import { comparePositions, isPosition, type Position } from '#kernel';
import { invalid, Problem } from './problem.ts';

/**
 * The position after which an event stream begins: `Last-Event-ID`, else `from`, else the log's end. Ends the request when
 * it is not a position of this log.
 */
export function resumeAfter(head: Position, { from, lastEventId }: { readonly from: string | undefined; readonly lastEventId: string | undefined }): Position {
  const [name, given] = lastEventId === undefined ? ['from', from] : ['Last-Event-ID', lastEventId];
  if (given === undefined) return head;
  if (!isPosition(given)) throw invalid(name, 'must be a position as a stream or an answer gave it: decimal digits');
  if (comparePositions(given, head) > 0) throw new Problem('position-unknown', `The log ends at ${head}; position ${given} is not in it.`, { head });
  return given;
}
