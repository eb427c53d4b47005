import { formatSite, type Secret } from '#kernel';
import { formatSigningSecret, newSigningKey } from '#webhook-sender/signing';
import { optional, required, toggle } from '../flags.ts';
import { eventPattern, position, targetUrl, wholeNumber } from '../forms.ts';
import { readSigningKey } from '../input.ts';
import { Failed, type Io } from '../io.ts';
import { readJson, textOf } from '../json.ts';
import { live } from '../live.ts';
import { isSuccess, type LocalAnswer, type LocalRequest, postSigned } from '../local-request.ts';
import type { Output, View } from '../output.ts';
import { type SiteSession, siteVerb } from '../site.ts';
import type { SseMessage } from '../sse.ts';
import { paint } from '../table.ts';
import { localTime, visible } from '../text.ts';

const usualTimeoutS = 30;

export const listen = siteVerb({
  name: 'listen',
  summary: 'Forward the events of a site to an application on this machine, as they happen',
  details:
    'Each event is posted to --forward-to with the body, the headers and the signatures of a delivery (webhook-id is the id of the event), in the order of the log and one at a time: the next one waits for the answer, up to 15 s. ' +
    'Nothing is retried; redirects are not followed. Each line says what the application answered and how long it took; with --output json or jsonl: {"position","eventId","type","status","latencyMs"}, and where there was no answer a status of null and an "error". ' +
    'A line is written after the answer: --from <position of the last line> goes on exactly there, and --from 0 begins with the first event that is kept. When the connection is lost it is made anew, and nothing is left out. ' +
    'Operational events (webhook.…, approval.…) come only when --events names them. Ctrl-C ends it. ' +
    `With --expect it is a test: it ends with 0 when so many events were answered with 2xx, and with 1 when --timeout (${usualTimeoutS} s unless said otherwise) is over before. With --timeout alone it ends with 0 then. ` +
    'Without --secret-stdin the signing secret is made for this session, and printed on stderr. With --quiet: the positions. Needs the scope site:<site>:read.',
  examples: [
    'kf listen --site tnt_demo --forward-to http://127.0.0.1:3000/hooks',
    "kf listen --forward-to http://127.0.0.1:3000/hooks --events 'version.*,claim.**' --from 0 --output jsonl",
    'kf listen --forward-to http://127.0.0.1:3000/hooks --expect 3 --timeout 60 --secret-stdin < secret.txt',
  ],
  flags: {
    forwardTo: required('--forward-to <url>', targetUrl, 'where each event is posted, from this machine'),
    events: optional('--events <pattern>', eventPattern, 'which events: comma-separated, * is one segment, ** any number; all when omitted'),
    from: optional('--from <position>', position, 'begin after this position; at the end of the log when omitted'),
    secretStdin: toggle('--secret-stdin', 'read the signing secret (whsec_…) from standard input'),
    expect: optional('--expect <n>', wholeNumber(1, 1_000_000), 'end when so many events were answered with 2xx'),
    timeout: optional('--timeout <seconds>', wholeNumber(1, 86_400), 'end after so long'),
  },
  run: async (session, { secretStdin, ...wanted }) => {
    const { io, output } = session;
    const { forwardTo, events, from, expect } = wanted;
    const key = await sessionKey(io, output, secretStdin);
    const site = formatSite(await session.site());
    output.note(`Forwarding ${events ?? 'all events'} of ${site} to ${forwardTo}, ${from === undefined ? 'from now on' : `after position ${from}`}. Ctrl-C ends it.`);
    const { forwarded, accepted, last } = await forwardAll(session, key, wanted);
    output.note(`${forwarded} forwarded, ${accepted} of them answered with 2xx.${last === undefined ? '' : ` Go on with --from ${last}`}`);
    const missing = accepted < (expect ?? 0) && !io.signal.aborted;
    if (missing) throw new Failed(`${accepted} of ${expect} expected events were answered with 2xx within ${secondsOf(wanted)} s`);
  },
});

const secondsOf = ({ expect, timeout }: Wanted): number | undefined => timeout ?? (expect === undefined ? undefined : usualTimeoutS);

interface Wanted {
  readonly forwardTo: string;
  readonly events: string | undefined;
  readonly from: string | undefined;
  readonly expect: number | undefined;
  readonly timeout: number | undefined;
}

interface Tally {
  forwarded: number;
  accepted: number;
  last: string | undefined;
}

async function forwardAll(session: SiteSession, key: Secret<Uint8Array>, wanted: Wanted): Promise<Tally> {
  const { forwardTo, events, from, expect } = wanted;
  const timeoutS = secondsOf(wanted);
  const tally: Tally = { forwarded: 0, accepted: 0, last: from };
  const over = new AbortController();
  const stopWaiting = timeoutS === undefined ? undefined : session.io.clock.after(timeoutS * 1_000, () => over.abort());
  const asked = { path: '/api/events/stream', query: { events }, from, signal: over.signal };
  await live(session, asked, async (message) => {
    await forward(session, message, { url: forwardTo, key, signal: over.signal }, tally);
    if (tally.accepted === expect) over.abort();
  }).finally(() => stopWaiting?.());
  return tally;
}

async function forward(session: SiteSession, { id, data }: SseMessage, to: Pick<LocalRequest, 'url' | 'key' | 'signal'>, tally: Tally): Promise<void> {
  const { io } = session;
  const answer = await postSigned(io, { ...to, webhookId: textOf(readJson(data), 'id') ?? '', body: data });
  // Not told, so that it comes again with --from: what the application made of it is not known.
  if (answer.status === null && (to.signal?.aborted === true || io.signal.aborted)) return;
  tell(session, id, data, answer);
  tally.forwarded += 1;
  tally.last = id;
  if (isSuccess(answer)) tally.accepted += 1;
}

/** The signing key of this session: the one given, else a new one. Its text is shown then, since the application has to know it. */
export async function sessionKey(io: Io, output: Output, fromStdin: boolean): Promise<Secret<Uint8Array>> {
  if (fromStdin) return readSigningKey(io, '--secret-stdin');
  const key = newSigningKey(io.ids);
  output.warn(`Signing secret of this session: ${formatSigningSecret(key).reveal()}`);
  return key;
}

function tell({ io, output }: SiteSession, id: string, data: string, answer: LocalAnswer): void {
  const { status, error, latencyMs } = answer;
  const said = readJson(data);
  const body = { position: id, eventId: textOf(said, 'id') ?? '', type: textOf(said, 'type') ?? '', status, latencyMs, ...(error === null ? {} : { error }) };
  output.answer({ text: JSON.stringify(body), body }, lineView(localTime(new Date(io.clock.now()).toISOString(), io.timeZone)), true);
}

/** One line an event: columns that stand below each other without knowing what follows. */
const lineView = (time: string): View => ({
  table: ({ position: at, eventId, type, status, latencyMs, error }, look) => {
    const answered = paint(look, isSuccess({ status: typeof status === 'number' ? status : null }) ? 'green' : 'red', visible(String(status ?? error)).padEnd(3));
    return `${paint(look, 'dim', time)}  ${String(at).padStart(8)}  ${answered}  ${`${String(latencyMs)} ms`.padStart(10)}  ${visible(String(type))}  ${paint(look, 'dim', visible(String(eventId)))}`;
  },
  essentials: ({ position: at }) => [String(at)],
});
