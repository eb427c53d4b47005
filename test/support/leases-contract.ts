import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { AttemptLease, HeldLease, InFlightLeases, LeaseStep, LeaseTable, LeaseView } from '#coordination/leases';

/** Leases of their own for one test, over an empty table whose time a test lets pass. */
export interface OpenedLeases {
  readonly leases: LeaseTable;
  readonly inFlight: InFlightLeases;
  pass(ms: number): Promise<void>;
  dispose(): Promise<void>;
}

export const leaseMs = 15_000;

export const stepOf = (holder: string, step: Partial<LeaseStep> = {}): LeaseStep => ({
  group: 'partition', holder, keep: [], giveBack: [], take: [], upTo: 64, leaves: false, fenceSeen: 0, leaseMs, ...step,
});

const namesOf = ({ held }: LeaseView): string[] => held.map(({ name }) => name);

/** What every table of leases, and of commands under way, promises, wherever it keeps them. */
export function leasesContract(name: string, open: () => Promise<OpenedLeases>): void {
  let opened: OpenedLeases;
  const step = (holder: string, asked: Partial<LeaseStep> = {}): Promise<LeaseView> => opened.leases.step(stepOf(holder, asked));

  describe(`contract of leases: ${name}`, () => {
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.dispose());

    /** What was lost with a table is over. */
    const settled = async (): Promise<void> => {
      await step('nobody', { leaves: true });
      await opened.pass(leaseMs);
    };
    const taken = async (holder: string, ...take: string[]): Promise<readonly HeldLease[]> => (await step(holder, { take })).held;

    it('gives nothing away before a lease that it may have forgotten has run out', async () => {
      expect(await taken('a', '1')).toEqual([]);
      await opened.pass(leaseMs - 1_000);
      expect(await taken('a', '1')).toEqual([]);
      await opened.pass(1_000);
      expect(await taken('a', '1')).toMatchObject([{ name: '1' }]);
    });

    it('puts back what it has forgotten and its holder keeps, and gives it to nobody else', async () => {
      expect(await step('a', { keep: [{ name: '1', fence: 7 }] })).toMatchObject({ held: [{ name: '1', fence: 7 }] });
      expect(namesOf(await step('b', { keep: [{ name: '1', fence: 6 }] }))).toEqual([]);
      await opened.pass(leaseMs - 1_000);
      expect(await step('a', { keep: [{ name: '1', fence: 7 }] })).toMatchObject({ held: [{ name: '1', fence: 7 }] });
      await opened.pass(1_000);
      const [next] = await taken('b', '1', '2');
      expect(next?.name).toBe('2');
      expect(next?.fence).toBeGreaterThan(7);
    });

    it('does not put back once that time is over', async () => {
      await settled();
      expect(namesOf(await step('a', { keep: [{ name: '1', fence: 7 }] }))).toEqual([]);
    });

    it('gives what is free in the order asked for, up to what was asked for, counting what is kept', async () => {
      await settled();
      const [first] = await taken('a', '3');
      expect(namesOf(await step('a', { keep: first === undefined ? [] : [first], take: ['9', '1', '2'], upTo: 3 }))).toEqual(['3', '9', '1']);
      expect(namesOf(await step('b', { take: ['1', '2', '3', '9'] }))).toEqual(['2']);
    });

    it('renews what is kept, and gives what ran out to who asks first', async () => {
      await settled();
      const keep = await taken('a', '1', '2');
      await opened.pass(leaseMs - 5_000);
      expect(namesOf(await step('a', { keep: keep.slice(0, 1) }))).toEqual(['1']);
      await opened.pass(5_000);
      expect((await taken('b', '1', '2')).map((lease) => lease.name)).toEqual(['2']);
      expect(namesOf(await step('a', { keep }))).toEqual(['1']);
    });

    it('renews what ran out but was taken by nobody', async () => {
      await settled();
      const keep = await taken('a', '1');
      await opened.pass(10 * leaseMs);
      expect((await step('a', { keep })).held).toEqual(keep);
    });

    it('raises the fence each time a lease is taken, above all that a holder has seen', async () => {
      await settled();
      const [first] = await taken('a', '1');
      const again = await step('a', { take: ['1'] });
      expect(again.held[0]?.fence).toBeGreaterThan(first?.fence ?? Infinity);
      expect(namesOf(await step('a', { keep: first === undefined ? [] : [first] }))).toEqual([]);
      const high = 9_000_000_000_000_001;
      expect((await step('a', { take: ['2'], fenceSeen: high })).held).toEqual([{ name: '2', fence: high + 1 }]);
    });

    it('takes back what is given back, of its holder and its fence alone', async () => {
      await settled();
      const [lease] = await taken('a', '1');
      if (lease === undefined) throw new Error('not taken');
      await step('b', { giveBack: [lease] });
      await step('a', { giveBack: [{ ...lease, fence: lease.fence - 1 }] });
      expect(await taken('b', '1')).toEqual([]);
      expect((await step('a', { giveBack: [lease] })).held).toEqual([]);
      expect(await taken('b', '1')).toMatchObject([{ name: '1' }]);
    });

    it('tells who is there: not who left, nor who was not seen for the length of a lease', async () => {
      await step('c');
      await step('b');
      expect(await step('a')).toMatchObject({ members: ['a', 'b', 'c'] });
      expect(await step('b', { leaves: true })).toMatchObject({ members: ['a', 'c'] });
      await opened.pass(leaseMs - 1_000);
      await step('c');
      await opened.pass(1_000);
      expect(await step('b')).toMatchObject({ members: ['b', 'c'] });
    });

    it('keeps groups apart', async () => {
      await settled();
      await taken('a', '1');
      await step('b', { group: 'saga' });
      await opened.pass(leaseMs);
      expect(await step('b', { group: 'saga', take: ['1'] })).toMatchObject({ held: [{ name: '1' }], members: ['b'] });
    });
  });

  describe(`contract of commands under way: ${name}`, () => {
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.dispose());

    const attempt = (attemptId: string): AttemptLease => ({ attemptId, fingerprint: 'f' });
    const once = (commandId: string, attemptId: string, work: () => Promise<string> = () => Promise.resolve(attemptId)): Promise<string> => opened.inFlight.once(commandId, attempt(attemptId), work);
    /** An attempt that is under way until it is ended. */
    const underWay = async (commandId: string, attemptId: string): Promise<{ end: () => Promise<string> }> => {
      const { promise, resolve } = Promise.withResolvers<string>();
      let answer: Promise<string> = Promise.resolve('');
      await new Promise<void>((started) => {
        answer = once(commandId, attemptId, () => {
          started();
          return promise;
        });
      });
      return { end: () => (resolve(attemptId), answer) };
    };

    it('is busy for every other attempt of the command, and for no other command', async () => {
      const first = await underWay('c', '1');
      expect(await once('c', '2')).toBe('busy');
      expect(await once('d', '2')).toBe('2');
      expect(await first.end()).toBe('1');
      expect(await once('c', '2')).toBe('2');
    });

    it('is free again when the work failed', async () => {
      await expect(once('c', '1', () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
      expect(await once('c', '2')).toBe('2');
    });

    it('is free again after 30 s, and the end of an attempt ends the lease of no other', async () => {
      const first = await underWay('c', '1');
      await opened.pass(29_000);
      expect(await once('c', '2')).toBe('busy');
      await opened.pass(1_000);
      const second = await underWay('c', '2');
      expect(await first.end()).toBe('1');
      expect(await once('c', '3')).toBe('busy');
      expect(await second.end()).toBe('2');
      expect(await once('c', '3')).toBe('3');
    });
  });
}
