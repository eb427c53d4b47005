import { formatInstant, formatSite, newId, type Secret } from '#kernel';
import { formatSigningSecret } from '#webhook-sender/signing';
import { cannedData } from '../canned.ts';
import { argument, optional, required, toggle } from '../flags.ts';
import { eventType, type Form, json, targetUrl } from '../forms.ts';
import { readFileText } from '../input.ts';
import { Failed, UsageError } from '../io.ts';
import { type JsonRecord, JsonText, scalar, textOf, writeJson } from '../json.ts';
import { isSuccess, type LocalAnswer, postSigned } from '../local-request.ts';
import type { View } from '../output.ts';
import type { Session } from '../session.ts';
import { findSite, siteFlag } from '../site.ts';
import { factsOf, sheet } from '../table.ts';
import { verb } from '../verb.ts';
import { sessionKey } from './listen.ts';
import { probeView, requireDelivered } from './probe.ts';

const maxPayloadBytes = 262_144;
const payloadForm: Form<string> = { expected: `${json.expected}, or @<file> with JSON text in it`, read: (given) => (given.startsWith('@') ? given : json.read(given)?.text) };

export const trigger = verb({
  name: 'trigger',
  summary: 'Post one sample event to a URL, signed like a delivery, without publishing anything',
  details:
    'It goes from this machine to any address and needs no server, no site and no API key. The body is that of a delivery; the data is a sample for the type, or --payload: JSON text sent byte for byte, or @<file>, at most 256 KiB. ' +
    'Without --secret-stdin the signing secret is made for this once, and printed on stderr. An answer has 15 s; redirects are not followed. ' +
    'With --via-api the server sends it, from where it stands and under its rules for targets, as kf webhook probe does; that needs a site and the scope site:<site>:write. ' +
    'Exits 1 when the receiver answers anything but 2xx, or nothing. With --quiet: the status.',
  examples: [
    'kf trigger version.published --to http://127.0.0.1:3000/hooks',
    `kf trigger version.published --to http://127.0.0.1:3000/hooks --payload '{"version":"1.4.0"}' --secret-stdin < secret.txt`,
    'kf trigger claim.filed --to https://staging.example.com/hooks --payload @claim.json --via-api --site tnt_demo',
  ],
  flags: {
    event: argument('event', eventType, 'the type of the event, for example version.published'),
    to: required('--to <url>', targetUrl, 'where it is posted'),
    payload: optional('--payload <json>', payloadForm, "the event's data: JSON text, or @<file>; a sample when omitted"),
    secretStdin: toggle('--secret-stdin', 'read the signing secret (whsec_…) from standard input'),
    viaApi: toggle('--via-api', 'let the server send it'),
    ...siteFlag,
  },
  run: async (session, { event, to, payload, secretStdin, viaApi, site }) => {
    const data = payload === undefined ? cannedData(event) : payloadOf(payload);
    const key = await sessionKey(session.io, session.output, secretStdin);
    if (!viaApi) return triggerHere(session, { event, to, data, key, site: site ?? { tenant: 'tnt_example', environment: 'production' } });
    const body = writeJson({ url: to, event, payload: data, signingSecret: formatSigningSecret(key).reveal() });
    const answer = await session.ask({ method: 'POST', path: '/api/webhooks/probe', query: { siteId: formatSite(await findSite(session, site)) }, body });
    session.output.answer(answer, probeView);
    requireDelivered(answer.body);
  },
});

function payloadOf(given: string): JsonText {
  const data = JsonText.of(given.startsWith('@') ? readFileText(given.slice(1), '--payload') : given);
  if (data === undefined) throw new UsageError([`--payload: expected JSON text in ${given.slice(1)}`]);
  const bytes = Buffer.byteLength(data.text);
  if (bytes > maxPayloadBytes) throw new UsageError([`--payload: expected at most ${maxPayloadBytes} bytes, got ${bytes}`]);
  return data;
}

interface Triggered {
  readonly event: string;
  readonly to: string;
  readonly data: JsonText;
  readonly key: Secret<Uint8Array>;
  readonly site: { readonly tenant: string; readonly environment: string };
}

async function triggerHere({ io, output }: Session, { event: type, to: url, data, key, site }: Triggered): Promise<void> {
  const id = newId('evt', io.clock.now(), io.ids);
  const { tenant, environment } = site;
  const body = writeJson({ id, type, timestamp: formatInstant(io.clock.now()), tenant, environment, data });
  const answer = await postSigned(io, { url, webhookId: id, body, key });
  const shown: JsonRecord = { eventId: id, type, url, delivered: isSuccess(answer), ...answer };
  output.answer({ text: JSON.stringify(shown), body: shown }, triggerView);
  if (!isSuccess(answer)) throw new Failed(failureOf(answer));
}

const triggerView: View = {
  table: ({ body, error, ...facts }, look) => sheet(look, factsOf(look, { ...facts, ...(error === null ? { answer: body } : { error }) })),
  essentials: (body) => [scalar(body['status']) ?? textOf(body, 'error') ?? ''],
};

const failureOf = ({ status, error, body }: LocalAnswer): string =>
  status === null ? `the receiver did not answer: ${error ?? 'unknown'}` : `the receiver did not take it: it answered ${`${status} ${body.slice(0, 500)}`.trim()}`;
