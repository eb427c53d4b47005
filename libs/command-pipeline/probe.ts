import type { WebhookProbeSent } from '#deliveries';
import { type NewEvent, type Position, refuse, type Refusal, streamOf } from '#kernel';
import { appendUntilKnown } from './append.ts';
import { callerMetadata } from './identity.ts';
import { appendsWithinMs } from './in-time.ts';
import type { Publisher } from './publish.ts';
import type { World } from './world.ts';

/**
 * Records a probe that was sent, in a stream of its own, and answers where it stands. When the log does not take it or
 * does not say so, the answer is `outcome-unknown`: a request went out, and a probe that left no record must not look fine.
 */
export async function recordProbe({ store, clock, ids }: Pick<World, 'store' | 'clock' | 'ids'>, prober: Publisher, probeId: string, sent: WebhookProbeSent['data']): Promise<Position | Refusal> {
  const event: NewEvent = { id: ids.uuid(), type: 'WebhookProbeSent' satisfies WebhookProbeSent['type'], data: JSON.stringify(sent), metadata: callerMetadata(prober, clock.now()) };
  const appended = await appendUntilKnown(store, clock, streamOf('probe', prober.site, probeId), 'NO_STREAM', [event], clock.monotonicMs() + appendsWithinMs);
  if (typeof appended === 'object') return appended.written.position;
  return refuse('outcome-unknown', `The probe ${probeId} was sent, and the store did not say in time whether it is recorded.`, { probeId });
}
