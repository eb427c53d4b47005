import { describe, expect, it } from '@jest/globals';
import { type CommandOutput, formatInstant, streamOf, type TombstoneOutput } from '#kernel';
import { Reacting } from '../../test/support/reacting.ts';
import { simulatedStart } from '../../test/support/simulated-clock.ts';
import { type Ending, type ShredOutput, subscriptionLifecycle } from './lifecycle-saga.ts';

type Saga = Reacting<Ending, CommandOutput | ShredOutput | TombstoneOutput>;
const site = { tenant: 'acme', environment: 'production' };
const subscription = streamOf('webhooksubscription', site, 'whs_1');
const hour = 3_600_000;
const day = 24 * hour;
const month = 30 * day;

const lifecycle = (options: { historyDays?: number; transcriptPartitions?: number } = {}): Saga => new Reacting(subscriptionLifecycle({ historyDays: 400, transcriptPartitions: 1, ...options }));
const secretStream = (versionId: string): string => streamOf('signingsecret', site, versionId);
const deletes = (saga: Saga, atMs = 0): unknown => saga.happens(subscription, 'WebhookSubscriptionDeleted', { purgeAt: formatInstant(simulatedStart + atMs + month) }, atMs);
const shred = (versionId: string): ShredOutput => ({ do: 'shred', site, versionId });

describe('a deleted subscription', () => {
  it('is purged when its thirty days are over, not a millisecond before', () => {
    const saga = lifecycle();
    deletes(saga);
    expect(saga.passes(month - 1)).toEqual([]);
    expect(saga.passes(month)).toEqual([
      {
        do: 'command',
        key: `purge|id-${subscription}-0|0`,
        site,
        commandType: 'PurgeWebhookSubscription',
        payload: { webhookSubscriptionId: 'whs_1' },
        settledBy: ['not-found'],
        because: { correlationId: 'corr', causationId: `id-${subscription}-0` },
      },
    ]);
  });

  it('that was restored is not', () => {
    const saga = lifecycle();
    deletes(saga);
    saga.happens(subscription, 'WebhookSubscriptionRestored', {}, day);
    expect(saga.passes(2 * month)).toEqual([]);
  });

  it('deleted once more has thirty days from then', () => {
    const saga = lifecycle();
    deletes(saga);
    saga.happens(subscription, 'WebhookSubscriptionRestored', {}, day);
    deletes(saga, 2 * day);
    expect(saga.passes(month + day)).toEqual([]);
    expect(saga.passes(month + 2 * day)).toHaveLength(1);
  });

  it('is asked for again an hour later, under another key, where the decision thought it too early', () => {
    const saga = lifecycle();
    deletes(saga);
    const keys = [month, month + hour - 1, month + hour, month + 2 * hour].flatMap((atMs) => saga.passes(atMs).map((output) => (output as CommandOutput).key));
    expect(keys).toEqual([0, 1, 2].map((tries) => `purge|id-${subscription}-0|${tries}`));
    saga.happens(subscription, 'WebhookSubscriptionPurged', { shreddedSecrets: [] }, month + 2 * hour);
    expect(saga.passes(2 * month)).toEqual([]);
  });

  it('once purged has every secret it ever had shredded', () => {
    const saga = lifecycle();
    deletes(saga);
    saga.passes(month);
    expect(saga.happens(subscription, 'WebhookSubscriptionPurged', { shreddedSecrets: ['v1', 'v2'] }, month)).toEqual([shred('v1'), shred('v2')]);
  });

  it('met again from the beginning of the log, is not purged again: only what can be repeated is', () => {
    const saga = lifecycle();
    deletes(saga);
    saga.happens(subscription, 'WebhookSubscriptionPurged', { shreddedSecrets: ['v1'] }, month);
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v2' } }, month + day);
    expect(saga.passes(4 * month)).toEqual([]);
  });
});

describe('a stored signing secret', () => {
  it('that no event comes to name within an hour is shredded', () => {
    const saga = lifecycle();
    saga.happens(secretStream('v1'), 'SigningSecretStored');
    expect(saga.passes(hour - 1)).toEqual([]);
    expect(saga.passes(hour)).toEqual([shred('v1')]);
    expect(saga.passes(day)).toEqual([]);
  });

  it.each(['WebhookSubscriptionCreated', 'WebhookSubscriptionSecretRotated'])('that %s names is kept', (type) => {
    const saga = lifecycle();
    saga.happens(secretStream('v1'), 'SigningSecretStored');
    saga.happens(secretStream('v2'), 'SigningSecretStored');
    saga.happens(subscription, type, { secret: { versionId: 'v1', kind: 'managed' } });
    expect(saga.passes(day)).toEqual([shred('v2')]);
  });

  it.each(['WebhookSubscriptionCreated', 'WebhookSubscriptionUpdated'])('of a header that %s names is kept', (type) => {
    const saga = lifecycle();
    for (const versionId of ['v1', 'v2', 'v3']) saga.happens(secretStream(versionId), 'SigningSecretStored');
    saga.happens(subscription, type, { ...(type === 'WebhookSubscriptionCreated' ? { secret: { versionId: 'v1' } } : {}), headers: { a: { versionId: 'v2' } } });
    expect(saga.passes(day)).toEqual(type === 'WebhookSubscriptionCreated' ? [shred('v3')] : [shred('v1'), shred('v3')]);
  });

  it('of a header that is sent no longer is shredded an hour later, when nobody can still send by what was before', () => {
    const saga = lifecycle();
    saga.happens(secretStream('v1'), 'SigningSecretStored');
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v0' }, headers: { a: { versionId: 'v1' } } });
    saga.happens(subscription, 'WebhookSubscriptionUpdated', { headers: { a: { versionId: 'v2' } }, retired: ['v1'] }, day);
    expect(saga.passes(day + hour - 1)).toEqual([]);
    expect(saga.passes(day + hour)).toEqual([shred('v1')]);
    expect(saga.passes(2 * day)).toEqual([]);
  });

  it('that is sealed anew long afterwards is no new one', () => {
    const saga = lifecycle();
    saga.happens(secretStream('v1'), 'SigningSecretStored');
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v1' } });
    saga.happens(secretStream('v1'), 'SigningSecretRewrapped', {}, day);
    expect(saga.passes(2 * day)).toEqual([]);
  });

  it('of another site with the same version id is another secret', () => {
    const saga = lifecycle();
    const staging = { tenant: 'acme', environment: 'staging' };
    saga.happens(streamOf('signingsecret', staging, 'v1'), 'SigningSecretStored');
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v1' } });
    expect(saga.passes(hour)).toEqual([{ do: 'shred', site: staging, versionId: 'v1' }]);
  });
});

describe('transcripts', () => {
  const dropped = (saga: Saga, atMs: number): readonly string[] => saga.passes(atMs).map((output) => (output as TombstoneOutput).stream);
  // The simulated start is noon.
  const midnight = day / 2;

  it('are dropped a whole day at a time, when even the last of the day has been kept for the history days', () => {
    const saga = lifecycle({ historyDays: 30, transcriptPartitions: 2 });
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v1' } });
    expect(dropped(saga, midnight + month - 1)).toEqual([]);
    expect(dropped(saga, midnight + month)).toEqual(['transcript-20261121.0', 'transcript-20261121.1']);
    expect(dropped(saga, midnight + month + day - 1)).toEqual([]);
    expect(dropped(saga, midnight + month + day)).toEqual(['transcript-20261122.0', 'transcript-20261122.1']);
  });

  it('of days that passed while nothing ran are all dropped', () => {
    const saga = lifecycle({ historyDays: 1 });
    saga.happens(subscription, 'WebhookSubscriptionCreated', { secret: { versionId: 'v1' } });
    expect(dropped(saga, 5 * day)).toEqual(['20261121', '20261122', '20261123', '20261124'].map((date) => `transcript-${date}.0`));
  });
});
