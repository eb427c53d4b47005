import type { EventStore } from '#event-store';
import { deliveryId, eventStream, type NewEvent, type Receipt, type Site, streamOf } from '#kernel';

const day = 86_400_000;

/** Writes histories the way the system does: streams, envelopes and receipts as they are, ids and times as the test wants them. */
export class History {
  readonly store: EventStore;
  /** The recorded time of what is written next, milliseconds since 1970 UTC. */
  nowMs = Date.UTC(2026, 0, 1);
  #count = 0;
  readonly #revisions = new Map<string, number>();

  constructor(store: EventStore) {
    this.store = store;
  }

  /** Moves the recorded time on. */
  pass(ms: number): this {
    this.nowMs += ms;
    return this;
  }

  passDays(days: number): this {
    return this.pass(days * day);
  }

  /** Appends events with the usual envelope to the end of a stream; answers the position of the last. */
  async write(stream: string, ...events: { type: string; data: object | string; metadata?: Record<string, string> }[]): Promise<string> {
    const last = this.#revisions.get(stream);
    const written = events.map(({ type, data, metadata }): NewEvent => {
      this.#count += 1;
      const recorded = { recordedat: new Date(this.nowMs).toISOString(), schemaversion: '1', actortype: 'USER', actorid: 'ann' };
      return { id: `00000000-0000-4000-8000-${String(this.#count).padStart(12, '0')}`, type, data: typeof data === 'string' ? data : JSON.stringify(data), metadata: { ...recorded, ...metadata } };
    });
    const { revision, position } = await this.store.append(stream, last ?? 'NO_STREAM', written);
    this.#revisions.set(stream, revision);
    return position;
  }

  receipt(commandType: string, resourceId: string, revision: number, commandId = `c-${this.#count}`): { type: 'CommandExecuted'; data: Receipt } {
    return { type: 'CommandExecuted', data: { commandId, attemptId: 'a', commandType, resourceId, fingerprint: 'f', fpv: 1, outcome: 'APPLIED', revision, approvalId: null, result: {} } };
  }

  subscription(site: Site, id: string, type: string, data: object = {}): Promise<string> {
    return this.write(streamOf('webhooksubscription', site, id), { type: `WebhookSubscription${type}`, data }, this.receipt(type, id, 1));
  }

  create(site: Site, id: string, settings: { eventPattern?: string; status?: 'ACTIVE' | 'PAUSED'; deliveryMode?: string } = {}): Promise<string> {
    return this.subscription(site, id, 'Created', {
      eventPattern: '**',
      targetUrl: 'https://example.org/hook',
      deliveryMode: 'AT_LEAST_ONCE',
      description: null,
      status: 'ACTIVE',
      secret: { versionId: `v-${id}`, kind: 'managed', fingerprint: 'f' },
      ...settings,
    });
  }

  publish(site: Site, eventId: string, type = 'version.published', operational = false): Promise<string> {
    const metadata = { publishedid: eventId, publishedtype: type, ...site, operational: String(operational) };
    return this.write(eventStream(site, eventId), { type: 'EventPublished', data: '{"n":1}', metadata });
  }

  /** Schedules the delivery of an event published now; answers its id. */
  async schedule(site: Site, eventId: string, subscriptionId: string, incarnation: string, eventPosition = '1'): Promise<string> {
    const id = deliveryId(site, eventId, subscriptionId, this.nowMs);
    const data = { subscriptionId, incarnation, eventId, eventType: 'version.published', eventPosition, eventStream: eventStream(site, eventId), operational: false };
    await this.write(streamOf('webhookdelivery', site, id), { type: 'WebhookDeliveryScheduled', data });
    return id;
  }

  attempt(site: Site, id: string, type: 'Succeeded' | 'AttemptFailed' | 'DeadLettered' | 'DuplicateAttempted', attempt = 1, more: object = {}): Promise<string> {
    const startedAt = new Date(this.nowMs).toISOString();
    const outcome = { attempt, startedAt, durationMs: 5, status: 200, error: null, subscriptionRevision: 1, secretVersionIds: [], transcriptSha256: 't' };
    const why = type === 'AttemptFailed' ? { nextAttemptAt: new Date(this.nowMs + 5_000).toISOString(), why: '500' } : type === 'DeadLettered' ? { reason: 'attempts-exhausted' } : {};
    return this.write(streamOf('webhookdelivery', site, id), { type: `WebhookDelivery${type}`, data: { ...outcome, ...why, ...more } });
  }

  replay(site: Site, id: string, resetAttempts = false): Promise<string> {
    return this.write(streamOf('webhookdelivery', site, id), { type: 'WebhookDeliveryReplayRequested', data: { resetAttempts, manual: false } }, this.receipt('ReplayWebhookDelivery', id, 2));
  }
}
