import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type ProcessBoard, type ProcessReport, reportStandsMs } from '#coordination/processes';

/** An empty board for one test, whose time the test lets pass. */
export interface OpenedBoard {
  readonly board: ProcessBoard;
  pass(ms: number): Promise<void>;
  dispose(): Promise<void>;
}

export const reportOf = (id: string, report: Partial<ProcessReport> = {}): ProcessReport => ({
  id,
  process: `${id}.example (process 12)`,
  version: '0.1.0',
  startedAt: '2026-11-21T12:00:00.000Z',
  ready: true,
  because: [],
  position: '42',
  behindMs: 0,
  roles: [{ role: 'api', state: 'HELD', why: null }],
  sagas: [{ name: 'fan-out', position: '42', behindMs: 0.5 }],
  partitions: [0, 1, 63],
  ...report,
});

/** What every board of processes promises, wherever it is. */
export function processBoardContract(name: string, open: () => Promise<OpenedBoard>): void {
  let opened: OpenedBoard;
  const exchange = async (own: ProcessReport): Promise<readonly ProcessReport[]> => {
    const heard = await opened.board.exchange(own);
    return heard.map(({ ageMs: _ageMs, ...report }) => report).sort((one, other) => (one.id < other.id ? -1 : 1));
  };
  const ids = async (own: string): Promise<readonly string[]> => (await exchange(reportOf(own))).map(({ id }) => id);

  describe(`contract of the board of processes: ${name}`, () => {
    beforeEach(async () => {
      opened = await open();
    });
    afterEach(() => opened.dispose());

    it('answers what every process says of itself, the one that asks too, word for word', async () => {
      const a = reportOf('a', { process: 'höst "a"\n (process 1)', roles: [{ role: 'dispatcher', state: 'WAITING', why: 'so \u0000 % it is' }], sagas: [], partitions: [] });
      const b = reportOf('b', { ready: false, because: ['the dispatcher is starting'], position: '18446744073709551615', behindMs: 12.25 });
      expect(await exchange(a)).toEqual([a]);
      expect(await exchange(b)).toEqual([a, b]);
    });

    it('has what a process said last in place of what it said before', async () => {
      await exchange(reportOf('a'));
      expect(await exchange(reportOf('a', { position: '43' }))).toEqual([reportOf('a', { position: '43' })]);
    });

    it('tells how long ago each said so, and forgets who has said nothing for 15 s', async () => {
      await exchange(reportOf('a'));
      await opened.pass(10_000);
      const aged = await opened.board.exchange(reportOf('b'));
      const ages = Object.fromEntries(aged.map(({ id, ageMs }) => [id, Math.floor(ageMs / 1_000)]));
      expect(ages).toEqual({ a: 10, b: 0 });
      await opened.pass(reportStandsMs - 10_000 - 1_000);
      expect(await ids('b')).toEqual(['a', 'b']);
      await opened.pass(1_000);
      expect(await ids('b')).toEqual(['b']);
    });

    it('forgets who leaves, and nobody else; leaving twice is leaving once', async () => {
      await ids('a');
      await ids('b');
      await opened.board.leave('a');
      await opened.board.leave('a');
      expect(await ids('b')).toEqual(['b']);
    });

    it('cuts what is long', async () => {
      const long = 'x'.repeat(100_000);
      const [heard] = await exchange(reportOf('a', { because: Array.from({ length: 1_000 }, (_, index) => `${index} ${long}`), roles: [{ role: 'sagas', state: 'SUSPENDED', why: long }] }));
      expect(JSON.stringify(heard).length).toBeLessThan(16_384);
      expect(heard?.because).toHaveLength(20);
      expect(heard?.because[0]).toMatch(/^0 x+…$/);
      expect(heard?.because.at(-1)).toBe('and 981 more');
      expect(heard?.roles[0]?.why).toMatch(/^x+…$/);
    });
  });
}
