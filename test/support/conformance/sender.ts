import type { EventDto } from '#contracts';
import { slugOf } from '../e2e/api.ts';
import { type ShiftedServer, startShiftedServer } from '../e2e/shifted-server.ts';
import { advanceOf, type Asked, attemptStatusOf, messageIdOf, mustKnow, NotTaken, objectIn, patternOf, requiredText, scheduleOf, textIn, timeoutMsOf } from './terms.ts';

/** One attempt of a message, as the suite reads it. */
export interface Attempt {
  readonly endpointId: string;
  readonly attempt: number;
  readonly status: string;
  readonly httpStatus: number | null;
}

const endpointFields = ['url', 'types', 'headers', 'signing', 'retryPolicy', 'http', 'allowHttp', 'tenantId', 'as'];
const eventFields = ['type', 'data', 'idempotencyKey', 'tenantId'];
/** Of those who name no tenant. */
const nobodys = 'default';

/** A whole Countersign server on a folder of its own, from one reset to the next, asked through its HTTP API. One call at a time. */
export class SenderUnderTest {
  #server: ShiftedServer | undefined;
  #working = false;
  readonly #keys = new Map<string, string>();
  readonly #tenants = new Map<string, string>();

  /** Everything that was is gone; the next call finds an empty server. */
  async reset(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.#working = false;
    this.#keys.clear();
    this.#tenants.clear();
    await server?.end();
  }

  installKey(asked: Asked): void {
    const algorithm = requiredText(asked, 'algorithm');
    if (algorithm !== 'hmac-sha256') throw new NotTaken('NOT_SUPPORTED', `algorithm: Countersign signs with hmac-sha256 (v1), not with ${algorithm} (docs/conformance.md)`);
    this.#keys.set(requiredText(asked, 'id'), requiredText(asked, 'key_material'));
  }

  /** Makes a subscription and answers its id. */
  async register(asked: Asked): Promise<string> {
    mustKnow(asked, 'endpoint', endpointFields);
    const { root } = await this.#started();
    const answer = await root.command('UpsertWebhookSubscription', this.#subscriptionOf(asked), { tenant: textIn(asked, 'tenantId') ?? nobodys });
    if (answer.status !== 200) throw new NotTaken('ENDPOINT_VALIDATION', `${slugOf(answer)}: ${String(answer.body['detail'])}`);
    return String(answer.body['resourceId']);
  }

  /** Publishes an event and answers its id. */
  async send(asked: Asked): Promise<string> {
    mustKnow(asked, 'event', eventFields);
    const { root } = await this.#started();
    const tenant = textIn(asked, 'tenantId') ?? nobodys;
    const eventId = messageIdOf(tenant, textIn(asked, 'idempotencyKey'));
    const answer = await root.ask('POST', `/api/events?siteId=${tenant}`, { body: { eventId, type: requiredText(asked, 'type'), data: asked['data'] ?? {} } });
    if (answer.status !== 200) throw new NotTaken('INVALID_REQUEST', `${slugOf(answer)}: ${String(answer.body['detail'])}`);
    this.#tenants.set(eventId, tenant);
    return eventId;
  }

  /** Until then the server only takes what is sent: the role that delivers comes with a restart. How much it does at once is its own decision. */
  async startWorkers(): Promise<void> {
    const server = await this.#started();
    if (this.#working) return;
    this.#working = true;
    await server.restart({});
  }

  async advanceClock(asked: Asked): Promise<void> {
    const { clock } = await this.#started();
    clock.moveOn(advanceOf(asked, clock.now()));
  }

  /** What was attempted of a message so far, as far as the read model knows; undefined when it was not sent here. */
  async attempts(messageId: string): Promise<readonly Attempt[] | undefined> {
    const tenant = this.#tenants.get(messageId);
    if (tenant === undefined) return undefined;
    const { root } = await this.#started();
    const { deliveries } = await root.read<EventDto>(`/api/events/${messageId}?siteId=${tenant}`);
    const details = await Promise.all(deliveries.map(({ subscriptionId, id }) => root.delivery(subscriptionId, id, tenant)));
    return details.flatMap(({ subscriptionId: endpointId, transcripts }) => transcripts.map((one) => ({ endpointId, attempt: one.attempt, status: attemptStatusOf(one), httpStatus: one.response?.status ?? null })));
  }

  /** Without the role that delivers, until the workers start. */
  async #started(): Promise<ShiftedServer> {
    this.#server ??= await startShiftedServer({ KF_ROLES: 'api,sagas' });
    return this.#server;
  }

  #subscriptionOf(asked: Asked): object {
    return {
      targetUrl: requiredText(asked, 'url'),
      eventPattern: patternOf(asked['types']),
      signingSecretRef: this.#secretOf(objectIn(asked, 'signing')),
      deliveryMode: 'AT_LEAST_ONCE',
      status: 'ACTIVE',
      timeoutMs: timeoutMsOf(objectIn(asked, 'http')) ?? null,
      retrySchedule: scheduleOf(objectIn(asked, 'retryPolicy')),
      headers: objectIn(asked, 'headers'),
    };
  }

  #secretOf(signing: Asked): string {
    const fixture = textIn(signing, 'fixture_id');
    if (fixture === undefined) return 'managed';
    const secret = this.#keys.get(fixture);
    if (secret === undefined) throw new NotTaken('INVALID_REQUEST', `signing.fixture_id: no key ${fixture} is installed`);
    return secret;
  }
}
