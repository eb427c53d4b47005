import { describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '#kernel';
import type { SubscriptionVersion } from '#read-models';
import { Receivers } from './receivers.ts';

const site = { tenant: 'acme', environment: 'production' };
const of = { site, subscriptionId: 'whs_1' };
const version = (fromPosition: string, toPosition: string | null = null, more: Partial<SubscriptionVersion> = {}): SubscriptionVersion => ({ ...of, incarnation: 'i', eventPattern: '**', filter: null, status: 'ACTIVE', deliveryMode: 'AT_LEAST_ONCE', fromPosition, toPosition, ...more });
const change = (position: string, type: string, data: object = {}): RecordedEvent => ({ id: `e${position}`, type, data: JSON.stringify(data), metadata: { recordedat: '2026-01-01T00:00:00.000Z' }, stream: 'webhooksubscription-acme.production.whs_1', revision: 1, position });
const pause = (position: string): RecordedEvent => change(position, 'WebhookSubscriptionPaused');
const resume = (position: string): RecordedEvent => change(position, 'WebhookSubscriptionResumed');
const update = (position: string, more: object): RecordedEvent => change(position, 'WebhookSubscriptionUpdated', { eventPattern: '**', deliveryMode: 'AT_LEAST_ONCE', ...more });

/** At which of the positions an event reaches the subscription. */
const reachedAt = (receivers: Receivers, ...positions: string[]): readonly string[] => positions.filter((position) => receivers.match({ type: 'a.x', position, operational: false }).length > 0);
const knowing = (...versions: SubscriptionVersion[]): Receivers => {
  const receivers = new Receivers(({ deliveryMode }) => deliveryMode !== 'ORDERED');
  receivers.learn(versions, '10');
  return receivers;
};

describe('the receivers of a site', () => {
  it('are those of each position, also behind what was folded since', () => {
    const receivers = knowing(version('1'));
    for (const event of [pause('12'), resume('14'), pause('16')]) receivers.fold(event, of, '10');
    expect(reachedAt(receivers, '11', '12', '13', '14', '15', '16', '17')).toEqual(['11', '12', '15', '16']);
  });

  it('are the same when a stretch comes twice', () => {
    const receivers = knowing(version('1'));
    const stretch = [pause('12'), resume('14'), change('16', 'WebhookSubscriptionDeleted'), change('17', 'WebhookSubscriptionPurged')];
    for (const event of [...stretch, ...stretch]) receivers.fold(event, of, '10');
    expect(reachedAt(receivers, '12', '13', '15', '16', '17')).toEqual(['12', '15', '16']);
    expect([...receivers.unclear]).toEqual([]);
  });

  it('are the same when what was learnt stands in the log again', () => {
    const a = { eventPattern: 'a.*' };
    const receivers = knowing(version('1', '12', a), version('12', '14', { ...a, status: 'PAUSED' }), version('14', '16', a), version('16', null, { eventPattern: 'b.*' }));
    for (const event of [pause('12'), resume('14'), update('16', { eventPattern: 'b.*' })]) receivers.fold(event, of, '10');
    expect(reachedAt(receivers, '12', '13', '15', '16', '17')).toEqual(['12', '15', '16']);
    expect(receivers.match({ type: 'b.x', position: '15', operational: false })).toEqual([]);
  });

  it('are folded on where the read model was ahead of the log: it says where a version ends, not what follows', () => {
    const receivers = knowing(version('1', '12'));
    expect(reachedAt(receivers, '12', '13')).toEqual(['12']);
    receivers.fold(update('11', { targetUrl: 'x' }), of, '10');
    receivers.fold(pause('12'), of, '10');
    receivers.fold(resume('14'), of, '10');
    expect([reachedAt(receivers, '11', '12', '13', '15'), [...receivers.unclear]]).toEqual([['11', '12', '15'], []]);
  });

  it('lose one that becomes another’s, and are unclear about it when it changes after that', () => {
    const receivers = knowing(version('1'));
    receivers.fold(update('12', { deliveryMode: 'ORDERED' }), of, '10');
    for (const event of [pause('13'), resume('14')]) receivers.fold(event, of, '10');
    expect(reachedAt(receivers, '12', '13', '15')).toEqual(['12']);
    expect([...receivers.unclear]).toEqual([]);
    receivers.fold(update('16', {}), of, '15');
    expect([...receivers.unclear]).toEqual(['whs_1']);
    receivers.learn([version('16')], '20', ['whs_1']);
    expect([reachedAt(receivers, '16', '17'), [...receivers.unclear]]).toEqual([['17'], []]);
  });

  it('are learnt anew whole: what was known of them before is gone', () => {
    const receivers = knowing(version('1'));
    receivers.fold(pause('12'), of, '10');
    receivers.fold(change('13', 'WebhookSubscriptionRestored'), of, '10');
    receivers.learn([version('1', '12', { eventPattern: 'b.*' })], '13', ['whs_1']);
    expect(reachedAt(receivers, '11', '14')).toEqual([]);
  });

  it('hold on to nothing that has ended before a stretch with a change', () => {
    const receivers = knowing(version('1', null, { filter: 'data.x' }), version('1', '9', { subscriptionId: 'whs_2', filter: 'data.x' }));
    const rotate = change('15', 'WebhookSubscriptionSecretRotated');
    receivers.fold(update('12', {}), of, '10');
    receivers.fold(rotate, of, '11');
    expect([receivers.filtered, reachedAt(receivers, '12', '13')]).toEqual([true, ['12', '13']]);
    receivers.fold(rotate, of, '12');
    expect([receivers.filtered, reachedAt(receivers, '12', '13')]).toEqual([false, ['13']]);
  });

  it.each([
    ['went to the other follower', update('12', { deliveryMode: 'ORDERED', filter: 'data.x' })],
    ['was purged', change('12', 'WebhookSubscriptionPurged')],
  ])('know of the filters of others after a stretch came twice in which one with a filter %s', (_, away) => {
    const receivers = knowing(version('1', null, { filter: 'data.x' }), version('1', null, { subscriptionId: 'whs_2', filter: 'data.y' }));
    for (const event of [away, away]) receivers.fold(event, of, '10');
    receivers.fold(change('20', 'WebhookSubscriptionSecretRotated'), of, '15');
    expect([receivers.match({ type: 'a.x', position: '21', operational: false }).map(({ filter }) => filter), receivers.filtered]).toEqual([['data.y'], true]);
  });
});
