import { recordProbe, type World } from '#command-pipeline';
import { limits } from '#contracts';
import { wireBody } from '#deliveries';
import { newId, type Refusal, refuse } from '#kernel';
import type { AttemptTranscript, Sender } from '#webhook-sender';
import { newSigningKey } from '#webhook-sender/signing';
import type { Probed, Probing } from '../parts.ts';

export interface ProbingParts {
  readonly world: Pick<World, 'store' | 'clock' | 'ids' | 'refuseTarget'>;
  readonly sender: Pick<Sender, 'attempt'>;
}

/** Sends probes: no subscription's secret is within reach here, so that nobody can have anything signed with one. */
export function createProbing({ world, sender }: ProbingParts): Probing {
  let inFlight = 0;

  const probe: Probing['probe'] = async (prober, { url, eventType, dataText, signingKey }) => {
    const refusal = await world.refuseTarget(url);
    if (refusal !== undefined) return refusal;
    const nowMs = world.clock.now();
    const probeId = newId('prb', nowMs, world.ids);
    const body = wireBody({ ...prober.site, eventId: newId('evt', nowMs, world.ids), type: eventType, recordedAtMs: nowMs, dataText });
    const keys = [signingKey ?? newSigningKey(world.ids)];
    const transcript = await sender.attempt({ url, webhookId: probeId, body, keys, timestampSeconds: Math.floor(nowMs / 1_000) });
    // The name led elsewhere when it was dialled: as if it had been seen at once, nothing was sent.
    if (transcript.error === 'target-refused') return refusedWhenDialled(url);
    const position = await recordProbe(world, prober, probeId, {
      url: withoutQuery(url),
      eventType,
      status: transcript.response?.status ?? null,
      error: transcript.error,
      durationMs: transcript.durationMs,
      signed: signingKey === null ? 'random' : 'given',
    });
    return typeof position === 'object' ? position : probed(probeId, position, transcript, body);
  };

  return {
    async probe(prober, request) {
      if (inFlight >= limits.probesInFlight) {
        return refuse('too-many-probes', `${limits.probesInFlight} probes wait for their receivers, and no more may at the same time. Try again in a moment.`, { retryAfterSeconds: 1 });
      }
      inFlight += 1;
      try {
        return await probe(prober, request);
      } finally {
        inFlight -= 1;
      }
    },
  };
}

function probed(probeId: string, position: string, { retryAfterMs: _asked, request, ...transcript }: AttemptTranscript, body: string): Probed {
  return { probeId, position, transcript: { ...transcript, request: { ...request, body } } };
}

/** Parts of a URL that may hold what only its receiver should know stay out of the log. */
function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

function refusedWhenDialled(url: string): Refusal {
  const setting = `KF_ALLOW_TARGETS=${new URL(url).hostname}`;
  return refuse('target-url-refused', `the target URL is refused: its host has an address that is not allowed; ${setting} would allow it`, { setting });
}
