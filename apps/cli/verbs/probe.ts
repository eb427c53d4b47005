import { type ActorValues, ownActorFlags } from '../command.ts';
import { optional, required, toggle } from '../flags.ts';
import { eventType, json, signingSecret as secretText, targetUrl } from '../forms.ts';
import { readSecretLine } from '../input.ts';
import { Failed, UsageError } from '../io.ts';
import { type JsonRecord, recordOf, textOf, writeJson } from '../json.ts';
import type { View } from '../output.ts';
import { actorHeaders, siteVerb } from '../site.ts';
import { factsOf } from '../table.ts';
import { transcriptText } from './delivery-view.ts';

const { onBehalfOf, actorType, actorId } = ownActorFlags;

/** What came of a probe: the whole exchange. */
export const probeView: View = {
  table: (body, look) => transcriptText(recordOf(body, 'transcript') ?? {}, look, factsOf(look, { probe: body['probeId'], delivered: body['delivered'], signatureRefused: body['signatureRefused'] })),
  essentials: (body) => [textOf(body, 'probeId') ?? ''],
};

/** Throws Failed, with what the receiver answered, when a probe was not delivered. */
export function requireDelivered(answer: JsonRecord): void {
  const transcript = recordOf(answer, 'transcript');
  const response = recordOf(transcript, 'response');
  if (answer['delivered'] === true) return;
  if (response === undefined) throw new Failed(`the receiver did not answer: ${textOf(transcript, 'error') ?? 'unknown'}`);
  const said = `${textOf(response, 'status') ?? '?'} ${(textOf(response, 'body') ?? '').slice(0, 500).replaceAll(/\s+/g, ' ')}`.trim();
  throw new Failed(answer['signatureRefused'] === true ? `the receiver refused the signature: it answered ${said}` : `the receiver did not take it: it answered ${said}`);
}

export const probe = siteVerb({
  name: 'probe',
  summary: 'Send one signed request to a URL now, without a subscription, and show what came back',
  details:
    'The server sends it, from where it stands and under its rules for targets. It is signed with the secret given, which is used once and stored nowhere, else with a random one; never with the secret of a subscription. ' +
    'Exits 1 when the receiver refuses the signature (401 or 403), when it answers anything else but 2xx, and when it can not be reached. With --quiet: the id of the probe.',
  examples: [
    'kf webhook probe --site tnt_demo --url https://example.com/hook --event version.published',
    `kf webhook probe --url https://example.com/hook --event version.published --payload '{"version":"1.4.0"}' --secret-stdin < secret.txt`,
  ],
  flags: {
    url: required('--url <url>', targetUrl, 'where it goes'),
    event: required('--event <type>', eventType, 'the type of the event, for example version.published'),
    payload: optional('--payload <json>', json, "the event's data as JSON text: at most 256 KiB; a sample when omitted"),
    secretStdin: toggle('--secret-stdin', 'read the signing secret (whsec_…) from standard input'),
    actorType,
    actorId,
    onBehalfOf,
  },
  run: async (session, { url, event, payload, secretStdin, ...actor }) => {
    const bytes = payload === undefined ? 0 : Buffer.byteLength(payload.text);
    if (bytes > maxPayloadBytes) throw new UsageError([`--payload: expected at most ${maxPayloadBytes} bytes, got ${bytes}`]);
    const headers = actorHeaders({ ...actor, idempotencyKey: undefined } satisfies ActorValues);
    const signingSecret = secretStdin ? await readSecretLine(session.io, '--secret-stdin', secretText) : undefined;
    const answer = await session.askSite({ method: 'POST', path: '/api/webhooks/probe', headers, body: writeJson({ url, event, payload, signingSecret }) });
    session.output.answer(answer, probeView);
    requireDelivered(answer.body);
  },
});

const maxPayloadBytes = 262_144;
