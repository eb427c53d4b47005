import { ExchangeDto } from './answers.ts';
import { Field, Nested } from './field.ts';
import { eventType, flag, json, name, position, string, webUrl } from './kinds.ts';

/** Its value is a secret; no message repeats it. */
const signingSecret = string('whsec_ and the base64 of 24 to 64 bytes', { maxLength: 128, pattern: '^whsec_[A-Za-z0-9+/]{32,88}={0,2}$' }, () => true);

/** The body of `POST /api/webhooks/probe`. */
export class ProbePayload {
  @Field(webUrl, { example: 'https://hooks.example.com/orders' })
  readonly url!: string;

  @Field(eventType, { example: 'version.published', description: 'The type that the request says it is of.' })
  readonly event!: string;

  @Field(json, { optional: true, example: { version: '1.2.0' }, description: 'What stands in `data`, byte for byte; a canned one when left out. At most 256 KiB.' })
  readonly payload?: unknown;

  @Field(signingSecret, { optional: true, description: 'Signs this one request and is stored nowhere; a random secret does when left out. `whsec_` and the base64 of 24 to 64 bytes.' })
  readonly signingSecret?: string;
}

/** What came of a probe. */
export class ProbeAnswerDto {
  @Field(name, { example: 'prb_01jd4x8qk6m0v7h2w9y3z5a1bc', description: 'Stands in the request as `webhook-id`.' })
  readonly probeId!: string;
  @Field(position, { example: '4712', description: 'Where the record of it stands in the log.' })
  readonly position!: string;
  @Field(flag, { example: true, description: 'The receiver answered 2xx.' })
  readonly delivered!: boolean;
  @Field(flag, { example: false, description: 'The receiver answered 401 or 403.' })
  readonly signatureRefused!: boolean;
  @Nested(() => ExchangeDto)
  readonly transcript!: ExchangeDto;
}
