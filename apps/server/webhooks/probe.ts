import { Controller, Headers, HttpCode, Post } from '@nestjs/common';
import { limits, ProbeAnswerDto, ProbePayload, refTo } from '#contracts';
import { isRefusal, type Secret, type Site } from '#kernel';
import { parseSigningSecret } from '#webhook-sender/signing';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { restActor } from '../access/rest-actor.ts';
import { ForSite, Key, SiteOfRequest } from '../access/routes.ts';
import { checkDataSize } from '../events/read-events.ts';
import { BodyText, outline, readBody, textOf } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { invalid, problemOf } from '../http/problem.ts';
import { type RequestTrace, Trace } from '../http/trace.ts';
import { Probing, type ProbeRequest } from '../parts.ts';

const cannedText = JSON.stringify({ message: 'A probe of Countersign: nothing was published.' });

/** One signed request now, to see whether a receiver takes it. */
@Controller('api/webhooks/probe')
export class ProbeController {
  constructor(private readonly probing: Probing) {}

  @Post()
  @HttpCode(200)
  @ForSite('write')
  @Takes('siteId')
  @Describe({
    tag: 'Webhooks',
    operationId: 'probeWebhook',
    summary: 'Send one signed request to a URL, and answer what came of it',
    description: `No subscription and no published event is involved, and no retry follows; each call sends a request of its own, under the rules that deliveries obey. Signed with the given secret, which is stored nowhere, else with a random one that no receiver accepts; never with a subscription’s. At most ${limits.probesInFlight} at a time. Leaves a \`WebhookProbeSent\` in the log, with the URL up to its query.`,
    body: refTo(ProbePayload),
    headers: ['Kf-Actor', 'Kf-On-Behalf-Of'],
    answer: ProbeAnswerDto,
    problems: ['actor-not-allowed', 'payload-too-large', 'unsupported-media-type', 'target-url-refused', 'too-many-probes', 'outcome-unknown'],
  })
  async probe(
    @SiteOfRequest() site: Site,
    @Key() key: AuthenticatedKey,
    @Headers() headers: Readonly<Record<string, string | string[] | undefined>>,
    @BodyText() text: string,
    @Trace() trace: RequestTrace,
  ): Promise<ProbeAnswerDto> {
    const actor = restActor(key, headers);
    const probed = await this.probing.probe({ site, actor, ...trace }, readProbe(text));
    if (isRefusal(probed)) throw problemOf(probed);
    const status = probed.transcript.response?.status ?? 0;
    return { ...probed, delivered: status >= 200 && status < 300, signatureRefused: status === 401 || status === 403 };
  }
}

function readProbe(text: string): ProbeRequest {
  const { url, event: eventType, signingSecret } = readBody(ProbePayload, text);
  // As it was sent: a parser would change `9007199254740993` and `1.0`.
  const payload = outline(text).members.find(({ name }) => name === 'payload');
  const dataText = payload === undefined ? cannedText : textOf(text, payload.value);
  checkDataSize(dataText, 'payload');
  return { url, eventType, dataText, signingKey: signingSecret === undefined ? null : keyOf(signingSecret) };
}

function keyOf(signingSecret: string): Secret<Uint8Array> {
  const key = parseSigningSecret(signingSecret);
  if (isRefusal(key)) throw invalid('signingSecret', `must be a signing secret: ${key.detail}`);
  return key;
}
