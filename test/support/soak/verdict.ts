import { receiptsAreEffects, rotationsConsume } from '../kill/promises.ts';
import type { SlowReply } from './fleet-client.ts';
import { nameOfFault, type SoakPlan } from './plan.ts';
import { attemptsIn, calmMs, deliveredOnce, deliveriesIn, eventsAreThereOnce, type Matched, matched, nothingIsSentInVain, oneIdEach, orderedInOrder, orderedOneAtATime, pausedMeansPaused, repeatsAreEqual, requestsAreRecorded, scheduledAsExpected } from './promises.ts';
import { outages, storeTroubles, type Survived } from './scenario.ts';

export interface Verdict {
  /** What was counted, by its name. */
  readonly counts: ReadonlyMap<string, string | number>;
  /** For each promise what breaks it, in words: nothing, where it was kept. */
  readonly promises: ReadonlyMap<string, readonly string[]>;
}

type Case = Survived & { readonly plan: SoakPlan; readonly match: Matched };

/** What is promised, by name, and what of a run breaks it. */
const broken: Readonly<Record<string, (of: Case) => readonly string[]>> = {
  'everything was delivered in time, and nothing hangs': ({ settledAfterMs, troubles }) => [...(settledAfterMs === null ? ['it was not settled in time'] : []), ...troubles],
  'every server answered within the deadline of a command': (of) => late(of).map(({ server, path, fromMs, toMs }) => `server ${server} took ${toMs - fromMs} ms for ${path}`),
  'every acknowledged event is in the log once': ({ events, published, offered }) => eventsAreThereOnce(events, published, offered),
  'every event was scheduled once for whom it must reach': ({ events, plan }) => scheduledAsExpected(events, plan.subscriptions),
  'every delivery changed to DELIVERED once': ({ events }) => deliveredOnce(events),
  'every request has an attempt in the log, but those under way at a kill': ({ match, faults }) => requestsAreRecorded(match, storeTroubles(faults)),
  'the store being away, nothing is sent that can not be recorded soon': ({ requests, faults }) => nothingIsSentInVain(requests, outages(faults)),
  'every request of a delivery has the same webhook-id': ({ requests }) => oneIdEach(requests),
  'ORDERED: first successes are in the order of the log': ({ events, requests, plan }) => orderedInOrder(events, requests, plan.subscriptions),
  'ORDERED: one request at a time': ({ requests, plan }) => orderedOneAtATime(requests, plan.subscriptions),
  'nothing is sent to a paused subscription': ({ events, requests, acknowledged }) => pausedMeansPaused(events, requests, acknowledged),
  'no command is lost or doubled': ({ events, acknowledged }) => receiptsAreEffects(events, acknowledged),
  'every rotation used an approval of its own': ({ events, acknowledged }) => rotationsConsume(events, acknowledged),
  'who asks again is answered the same, without the secret': ({ repeats }) => repeatsAreEqual(repeats),
  'no secret is lost, and none was shown twice': ({ secrets }) => secrets,
};

export const promises: readonly string[] = Object.keys(broken);

/** Counts what a run came to, and holds it against what was promised. */
export function verdictOn(plan: SoakPlan, survived: Survived): Verdict {
  const match = matched(survived.requests, attemptsIn(survived.events));
  const of: Case = { ...survived, plan, match };
  return { counts: countsOf(plan, survived, match), promises: new Map(Object.entries(broken).map(([promise, look]) => [promise, look(of)])) };
}

/** Answers that took too long, but not because their server stood still. */
function late({ slow, senders }: Case): readonly SlowReply[] {
  const suspended = senders.flatMap(({ server, suspensions }) => suspensions.map((period) => ({ server, ...period })));
  return slow.filter((reply) => !suspended.some(({ server, fromMs, toMs }) => server === reply.server && fromMs < reply.toMs && toMs > reply.fromMs));
}

function countsOf(plan: SoakPlan, survived: Survived, { unrecorded }: Matched): ReadonlyMap<string, string | number> {
  const { events, requests, faults, published, acknowledged, repeated, alarms, settledAfterMs } = survived;
  const attempts = attemptsIn(events);
  const lists = (counts: ReadonlyMap<string, number>): string => [...counts].toSorted().map(([name, count]) => `${name} ${count}`).join(', ') || 'none';
  const countsBy = (names: readonly string[]): ReadonlyMap<string, number> => new Map([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
  const lag = unrecorded.flatMap(({ sender, status, endedAtMs }) => (status === null || typeof sender?.killedAtMs !== 'number' ? [] : [calmMs({ fromMs: endedAtMs, toMs: sender.killedAtMs }, storeTroubles(faults))]));
  return new Map<string, string | number>([
    ['servers', `${plan.servers}, ${plan.redis ? 'with Redis' : 'without Redis'}`],
    ['faults', lists(countsBy(faults.map(({ fault }) => (fault.kind === 'store' ? `store ${fault.fault}` : fault.kind))))],
    ['processes killed, and of these with their data folder', `${faults.filter(({ fault }) => fault.kind === 'kill').length}, ${faults.filter(({ fault }) => fault.kind === 'kill' && fault.emptyFolder).length}`],
    ['events in the log, of any kind', events.length],
    ['published events', published.length],
    ['deliveries', deliveriesIn(events).length],
    ['requests that the receiver saw', requests.length],
    ['attempts in the log', attempts.length],
    ['of these: attempts that changed nothing', attempts.filter(({ changesState }) => !changesState).length],
    ['requests under way at a kill, without an attempt', unrecorded.length],
    ['of these: answered at most so long before it, the store being well', `${Math.max(0, ...lag)} ms`],
    ['requests that came again after a success', requests.filter(({ status }) => status === 200).length - new Set(requests.filter(({ status }) => status === 200).map(({ deliveryId }) => deliveryId)).size],
    ['commands', lists(countsBy(acknowledged.map(({ commandType, outcome }) => `${commandType} ${outcome}`)))],
    ['requests sent again, and why', lists(repeated)],
    ['starts in vain, because the store was away', survived.vainStarts],
    ['alarms', lists(alarms)],
    ['settled after', settledAfterMs === null ? 'not in time' : `${settledAfterMs} ms`],
  ]);
}

/** The faults of a run, in words. */
export const faultsInWords = ({ faults }: SoakPlan): readonly string[] => faults.map(({ atMs, fault }) => `at ${(atMs / 1_000).toFixed(1)} s ${nameOfFault(fault)}`);
