import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { errorText } from '../error-code.ts';
import { argument } from '../flags.ts';
import { text } from '../forms.ts';
import { NoAnswer, ProblemAnswer } from '../http.ts';
import { Failed, UsageError } from '../io.ts';
import { isRecord, type JsonRecord, readJson, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { type Progress, progressOn } from '../progress.ts';
import type { Session } from '../session.ts';
import { chunksOf, eventStream } from '../sse.ts';
import { sheet, show } from '../table.ts';
import { type Part, verb } from '../verb.ts';

const resultIn = (file: string): View => ({
  table: (body, look) => sheet(look, [['Log up to position', show(look, body['position'])], ['Bytes', show(look, body['bytes'])], ['File', file]]),
  essentials: () => [file],
});

export const backup: Part = verb({
  name: 'backup',
  summary: 'Copy the log of a running server into a folder of this machine',
  details:
    'Writes <dir>/events.db (mode 0600), which appears when it is whole and synced; it never replaces one. Everything that was acknowledged up to the printed position is in it. The server makes the copy beside its log first, ' +
    'and needs as much room there for a while. One backup at a time. Not in it: the master key, without which no signing secret can be read and no server starts on the log. Keep <data dir>/master.key apart from it. ' +
    'To restore, put both into a folder and start a server with KF_DATA_DIR on it: docs/operations.md. Needs the scopes admin and site:*:audit. With --quiet: the file.',
  examples: ['kf backup /var/backups/countersign/2026-11-22'],
  flags: { directory: argument('dir', text(4_096), 'where the copy goes; made when missing') },
  run: async (session, { directory }) => {
    const file = join(directory, 'events.db');
    prepare(directory, file);
    const progress = progressOn(session.io, session.output);
    let made: Made;
    try {
      made = await makeAndFetch(session, file, progress);
    } finally {
      progress.end();
    }
    session.output.answer(made, resultIn(file));
    session.output.note('The master key is not in it: keep a copy of master.key (or KF_MASTER_KEY) apart from this one. Without it nothing can be restored.');
  },
});

/** Before anything is sent: a log that is there is never replaced, also not the one of a server. */
function prepare(directory: string, file: string): void {
  if (existsSync(file)) throw new UsageError([`<dir>: ${file} is there already, and is not replaced: give another folder`]);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UsageError([`<dir>: the folder can't be made: ${errorText(error)}`]);
  }
}

interface Made {
  readonly text: string;
  readonly body: JsonRecord;
}

/** The server holds the copy for as long as the stream is open, so it is fetched in the middle of it. */
async function makeAndFetch(session: Session, file: string, progress: Progress): Promise<Made> {
  for await (const { event, data } of eventStream(session.open, { method: 'POST', path: '/api/backups' })) {
    const body = readJson(data);
    if (!isRecord(body)) continue;
    if (event === 'progress') progress.show({ done: Number(body['bytes']), total: Number(body['totalBytes']), more: ' bytes copied by the server' });
    if (event === 'failed') throw new ProblemAnswer(Number(body['status']), body, undefined, undefined);
    if (event !== 'result') continue;
    await fetchInto(session, file, body, progress);
    return { text: data, body };
  }
  throw new NoAnswer('the backup ended without a result', true);
}

/** The file has its name when it is whole and on disk; when it is not, nothing is left of it. */
async function fetchInto({ open }: Session, file: string, made: JsonRecord, progress: Progress): Promise<void> {
  const bytes = Number(made['bytes']);
  const response = await open({ method: 'GET', path: `/api/backups/${encodeURIComponent(textOf(made, 'backupId') ?? '')}` });
  const partial = `${file}.partial`;
  // The mode only holds for a file that does not exist: one left over must not be used.
  written(partial, () => rmSync(partial, { force: true }));
  const handle = written(partial, () => openSync(partial, 'wx', 0o600));
  try {
    let done = 0;
    for await (const chunk of response.body === null ? [] : chunksOf(response.body, 'the copy')) {
      done += written(partial, () => writeAll(handle, chunk));
      progress.show({ done, total: bytes, more: ' bytes fetched' });
    }
    if (done !== bytes) throw new NoAnswer(`the copy ended after ${done} of ${bytes} bytes`, true);
    written(partial, () => fsyncSync(handle));
    written(file, () => renameSync(partial, file));
    written(file, () => syncFolder(join(file, '..')));
  } finally {
    closeSync(handle);
    rmSync(partial, { force: true });
  }
}

function writeAll(handle: number, chunk: Uint8Array): number {
  for (let offset = 0; offset < chunk.byteLength; ) offset += writeSync(handle, chunk, offset);
  return chunk.byteLength;
}

function written<Result>(file: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw new Failed(`${file} can't be written: ${errorText(error)}`);
  }
}

/** A new name outlives a power cut only when its folder is synced. Windows has no such thing, and needs none. */
function syncFolder(folder: string): void {
  if (process.platform === 'win32') return;
  const handle = openSync(folder, 'r');
  fsyncSync(handle);
  closeSync(handle);
}
