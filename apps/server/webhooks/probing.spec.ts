import { describe, expect, it } from '@jest/globals';
import { type EventStore, OutcomeUnknown, StoreUnavailable } from '#event-store';
import { createMemoryEventStore, MemoryLog } from '#event-store/memory';
import { type Refusal, refuse, Secret } from '#kernel';
import type { AttemptRequest, AttemptTranscript } from '#webhook-sender';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';
import { seededIds } from '../../../test/support/seeded-ids.ts';
import type { ProbeRequest } from '../parts.ts';
import { createProbing } from './probing.ts';

const prober = { site: { tenant: 't', environment: 'production' }, actor: { type: 'USER', id: 'sam' }, correlationId: 'cor' } as const;
const request: ProbeRequest = { url: 'https://user.example/hook?token=t#part', eventType: 'a.b', dataText: '{}', signingKey: null };

const ended = (more: Partial<AttemptTranscript> = {}): AttemptTranscript => ({
  startedAt: '2026-11-21T12:00:00.000Z',
  durationMs: 5,
  request: { method: 'POST', url: request.url, headers: {} },
  response: { status: 200, headers: {}, body: '', truncated: false },
  error: null,
  timings: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: 4, totalMs: 5 },
  remoteAddress: '203.0.113.7',
  retryAfterMs: null,
  ...more,
});

interface Given {
  readonly store?: EventStore;
  readonly refusal?: Refusal;
  readonly transcript?: AttemptTranscript;
}

function given({ store, refusal, transcript = ended() }: Given = {}) {
  const log = new MemoryLog();
  const clock = simulatedClock();
  const sent: AttemptRequest[] = [];
  const world = { store: store ?? createMemoryEventStore(log), clock, ids: seededIds(), refuseTarget: () => Promise.resolve(refusal) };
  const sender = { attempt: (asked: AttemptRequest) => (sent.push(asked), Promise.resolve(transcript)) };
  return { probing: createProbing({ world, sender }), log, clock, sent };
}

describe('a probe', () => {
  it('is one request, and one event that says so without the query of its URL', async () => {
    const { probing, log, sent } = given();
    expect(await probing.probe(prober, request)).toMatchObject({ position: '1', transcript: { request: { body: sent[0]?.body } } });
    expect(sent).toHaveLength(1);
    expect(log.events.map(({ type, data }) => [type, JSON.parse(data) as unknown])).toEqual([['WebhookProbeSent', { url: 'https://user.example/hook', eventType: 'a.b', status: 200, error: null, durationMs: 5, signed: 'random' }]]);
  });

  it('is signed with the given key alone, else with one that no two probes share', async () => {
    const { probing, sent } = given();
    const signingKey = new Secret(new Uint8Array(32).fill(7));
    for (const key of [signingKey, null, null]) await probing.probe(prober, { ...request, signingKey: key });
    const [first, ...random] = sent.map(({ keys }) => keys.map((key) => Buffer.from(key.reveal()).toString('hex')));
    expect(first).toEqual(['07'.repeat(32)]);
    expect([...new Set(random.flat())].map((key) => key.length)).toEqual([64, 64]);
  });

  it('to a target that is not allowed is refused before anything is sent', async () => {
    const { probing, log, sent } = given({ refusal: refuse('target-url-refused', 'no') });
    expect(await probing.probe(prober, request)).toMatchObject({ refused: 'target-url-refused' });
    expect([sent, log.events]).toEqual([[], []]);
  });

  it('to a name that led elsewhere when it was dialled is refused too, and names the setting', async () => {
    const { probing, log } = given({ transcript: ended({ response: null, error: 'target-refused' }) });
    expect(await probing.probe(prober, request)).toMatchObject({ refused: 'target-url-refused', members: { setting: 'KF_ALLOW_TARGETS=user.example' } });
    expect(log.events).toEqual([]);
  });

  it.each([['unavailable', new StoreUnavailable()], ['of unknown outcome', new OutcomeUnknown()]])('that was sent while the log is %s does not look fine', async (_state, error) => {
    const store = { ...createMemoryEventStore(new MemoryLog()), append: () => Promise.reject(error) };
    const { probing, clock, sent } = given({ store });
    const answer = probing.probe(prober, request);
    await clock.advance(11_000);
    expect(await answer).toMatchObject({ refused: 'outcome-unknown', members: { probeId: sent[0]?.webhookId } });
  });

  it('that failed gives its place back', async () => {
    const store = { ...createMemoryEventStore(new MemoryLog()), append: () => Promise.reject(new Error('broken')) };
    const { probing } = given({ store });
    for (let count = 0; count < 20; count += 1) await expect(probing.probe(prober, request)).rejects.toThrow('broken');
  });
});
