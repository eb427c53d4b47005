import { describe, expect, it } from '@jest/globals';
import { approvalHousekeeping, type ApprovalOutput } from '#approvals';
import { createAggregates, createApprovalUpkeep } from '#command-pipeline';
import { WrongExpectedRevision } from '#event-store';
import { formatInstant, streamOf } from '#kernel';
import { asKim, type GovernedWorld, governedWorld, site, through, upsertOf } from '../../test/support/governed-world.ts';
import { type OutputParts, perform } from './outputs.ts';

const rotate = 'RotateWebhookSubscriptionSecret';
const hour = 3_600_000;

async function granted(): Promise<{ readonly governed: GovernedWorld; readonly parts: OutputParts; readonly approvalId: string }> {
  const governed = governedWorld();
  await governed.must('UpsertWebhookSubscription', upsertOf('whs_1'));
  const { result } = await governed.must('RequestApproval', { commandType: rotate, resourceId: 'whs_1', expiresOn: formatInstant(governed.clock.now() + hour) });
  const approvalId = result['approvalId'] as string;
  await governed.must('GrantApproval', { approvalId }, { ...asKim, expectedRevision: 1 });
  const { store, clock, pipeline, vault, world } = governed;
  return { governed, approvalId, parts: { store, clock, execute: (request) => pipeline.execute(request), vault, approvals: createApprovalUpkeep(world, createAggregates(store)) } };
}

const output = (approvalId: string, what: Pick<Extract<ApprovalOutput, { do: 'mirror-use' }>, 'do' | 'commandId' | 'position'> | { do: 'fence-approval' } | { do: 'review-approval'; nowMs: number }): ApprovalOutput => ({ site, approvalId, because: { correlationId: 'c', causationId: 'c' }, ...what });
const mirror = (approvalId: string): ApprovalOutput => output(approvalId, { do: 'mirror-use', commandId: 'cmd', position: '9' });
const perf = (parts: OutputParts, one: ApprovalOutput): Promise<void> => perform(parts, approvalHousekeeping.name, one);

describe('an output done twice', () => {
  it('mirrors a use once', async () => {
    const { governed, parts, approvalId } = await granted();
    for (let time = 0; time < 3; time += 1) await perf(parts, mirror(approvalId));
    expect(await governed.events('ApprovalUseMirrored')).toHaveLength(1);
  });

  it('fences once', async () => {
    const { governed, parts, approvalId } = await granted();
    for (let time = 0; time < 3; time += 1) await perf(parts, output(approvalId, { do: 'fence-approval' }));
    expect(await governed.events('ApprovalFenced')).toHaveLength(1);
  });

  it('records what is true of an approval once', async () => {
    const { governed, parts, approvalId } = await granted();
    for (let time = 0; time < 3; time += 1) await perf(parts, output(approvalId, { do: 'review-approval', nowMs: governed.clock.now() + hour }));
    expect(await governed.events('ApprovalExpired')).toHaveLength(1);
  });
});

describe('a review', () => {
  it('records nothing of an approval that its resource has used, before the mirror has said so', async () => {
    const { governed, parts, approvalId } = await granted();
    await governed.must(rotate, { webhookSubscriptionId: 'whs_1' }, { approvalId });
    await perf(parts, output(approvalId, { do: 'review-approval', nowMs: governed.clock.now() + hour }));
    expect(await governed.events('ApprovalExpired')).toEqual([]);
  });

  it('whose approval moved on meanwhile looks at it again', async () => {
    const { governed, parts, approvalId } = await granted();
    let races = 0;
    const racing = {
      ...through(governed.store),
      append: async (...args: Parameters<OutputParts['store']['append']>) => {
        races += 1;
        if (races === 1) await perf(parts, mirror(approvalId));
        return await governed.store.append(...args);
      },
    };
    await perf({ ...parts, store: racing }, output(approvalId, { do: 'review-approval', nowMs: governed.clock.now() + hour }));
    expect(races).toBe(1);
    expect(await governed.events('ApprovalExpired')).toEqual([]);
    expect(await governed.events('ApprovalUseMirrored')).toHaveLength(1);
  });
});

describe('an output about an approval there is none of', () => {
  it('is refused', async () => {
    const { parts } = await granted();
    await expect(perf(parts, mirror('apr_none'))).rejects.toThrow('there is no approval apr_none');
  });
});

describe('a stream that a saga creates', () => {
  it('stays as it was first written', async () => {
    const { governed, parts } = await granted();
    const stream = streamOf('event', site, 'evt_1');
    const create = (text: string): Promise<void> => perform(parts, 'testing', { do: 'create', key: text, site, stream, type: 'EventPublished', data: { text }, because: { correlationId: 'c', causationId: 'c' } });
    await create('first');
    await create('second');
    expect((await governed.store.readStream(stream)).map(({ data }) => data)).toEqual(['{"text":"first"}']);
    await governed.store.tombstone(stream);
    await create('first');
    expect(await governed.store.readStream(stream)).toEqual([]);
    await expect(governed.store.append(stream, 3, [{ id: governed.world.ids.uuid(), type: 't', data: '{}', metadata: {} }])).rejects.not.toThrow(WrongExpectedRevision);
  });
});
