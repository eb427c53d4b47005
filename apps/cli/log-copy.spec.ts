import { Readable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { kf, type KfOptions, type KfRun, words } from '../../test/support/kf.ts';

const report = {
  from: '/srv/data',
  position: '120',
  targetPosition: '48211',
  events: 118,
  alreadyThere: 40,
  removedStreams: 2,
  categories: [{ category: 'event', source: 100, target: 100 }, { category: 'masterkey', source: 18, target: 18 }],
  digest: 'ab'.repeat(32),
  targetDigest: 'ab'.repeat(32),
  equal: true,
  difference: null,
};

const line = (event: string, data: object): string => `${JSON.stringify({ event, data })}`;
const copy = (lines: readonly string[], options: KfOptions = {}, flags = ''): Promise<KfRun> =>
  kf(words(`log copy --from /srv/data ${flags}`), { logCopy: () => Readable.from(lines), ...options });

describe('kf log copy', () => {
  it('copies the folder named, prints what came of it, and says what to do next', async () => {
    const asked: string[] = [];
    const { code, out, err } = await copy([], { logCopy: (folder) => { asked.push(folder); return Readable.from([line('result', report)]); } });
    expect([code, JSON.parse(out), asked]).toEqual([0, report, ['/srv/data']]);
    for (const needed of ['Start no server on /srv/data any more', 'KF_MASTER_KEY to the text of /srv/data/master.key', 'KF_ROOT_KEY', 'KF_DATA_DIR to a new, empty folder', 'kf audit replay']) expect(err).toContain(needed);
  });

  it('shows how far it is on a terminal, and counts and digests as tables', async () => {
    const lines = [line('progress', { step: 'copy', position: '60', head: '120' }), line('progress', { step: 'verify', position: '120', head: '120' }), line('result', report)];
    const { out, err } = await copy(lines, { tty: { stdout: true, stderr: true } });
    expect(out).toBe(
      [
        'Events                118',
        'Of them there before  40',
        'Removed streams       2',
        `Digest of the log     ${report.digest}`,
        `Digest of the copy    ${report.digest}`,
        '',
        'CATEGORY   LOG  COPY',
        'event      100  100',
        'masterkey  18   18',
        '',
        'The digests are equal: the target holds what the log says.',
        '',
      ].join('\n'),
    );
    expect(err).toContain('60 of 120, copying');
    expect(err).toContain('120 of 120, verifying');
  });

  it('prints the digest alone with --quiet', async () => {
    expect(await copy([line('trouble', { detail: 'away' }), line('result', report)], {}, '--quiet')).toEqual({ code: 0, out: `${report.digest}\n`, err: '' });
  });

  it('fails when the digests differ, with what was counted, and names the first event', async () => {
    const differs = { ...report, targetDigest: 'cd'.repeat(32), equal: false, difference: 'event 7: the log has A, the target has B' };
    const { code, out, err } = await copy([line('result', differs)]);
    expect([code, JSON.parse(out)]).toEqual([1, differs]);
    expect(err).toBe('error: the copy is not what the log says: event 7: the log has A, the target has B. Begin again with an empty EventStoreDB\n');
    expect((await copy([line('result', differs)], { tty: { stdout: true } })).out).toContain('The digests differ.');
  });

  it('says what the program refused: 2 for what was set, 1 for what was met', async () => {
    expect(await copy([line('failed', { usage: true, issues: ['KF_EVENT_STORE must be …'] })])).toMatchObject({ code: 2, out: '', err: 'error: KF_EVENT_STORE must be …\nNothing was sent. See --help of the command.\n' });
    expect(await copy([line('failed', { usage: false, issues: ['the data folder is in use'] })])).toEqual({ code: 1, out: '', err: 'error: the data folder is in use\n' });
  });

  it('says once that the target does not answer, however often it is asked', async () => {
    const { err } = await copy([line('trouble', { detail: 'away' }), line('trouble', { detail: 'away' }), line('result', report)]);
    expect(err.match(/is asked again: away/g)).toHaveLength(1);
  });

  it('fails when the program ends without a result, and says that it goes on when it is run again', async () => {
    expect(await copy([line('progress', { step: 'copy', position: '1', head: '2' })])).toEqual({ code: 1, out: '', err: 'error: the copy ended before it was complete. Run it again: it goes on where it was\n' });
    expect(await copy([], { signal: AbortSignal.abort(new Error('interrupted')) })).toMatchObject({ code: 1, err: expect.stringContaining('the copy was interrupted before it was complete') });
  });

  it('needs a folder, and reads no profile', async () => {
    const started: string[] = [];
    expect(await kf(['log', 'copy'], { logCopy: (folder) => { started.push(folder); return Readable.from([]); } })).toMatchObject({ code: 2, err: expect.stringContaining('--from <data-dir> is required') });
    expect(started).toEqual([]);
    expect(await copy([line('result', report)], { variables: { KF_PROFILE: 'nobody' } })).toMatchObject({ code: 0 });
  });
});
