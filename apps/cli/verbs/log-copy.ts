import { join } from 'node:path';
import { required } from '../flags.ts';
import { text } from '../forms.ts';
import { Failed, UsageError } from '../io.ts';
import { type JsonRecord, listOf, readJson, recordOf, scalar, textOf } from '../json.ts';
import type { Output, View } from '../output.ts';
import { progressOn, type Step } from '../progress.ts';
import type { Session } from '../session.ts';
import { grid, type Look, sheet, show } from '../table.ts';
import { group, type Part, verb } from '../verb.ts';

const result: View = {
  table: (body, look) => {
    const facts = ['events', 'alreadyThere', 'removedStreams', 'digest', 'targetDigest'].map((member) => [titles[member] ?? '', show(look, body[member])] as const);
    return `${sheet(look, facts)}\n\n${counts(body, look)}\n\n${body['equal'] === true ? 'The digests are equal: the target holds what the log says.' : 'The digests differ.'}`;
  },
  essentials: (body) => [textOf(body, 'digest') ?? ''],
};

const titles: Readonly<Record<string, string>> = { events: 'Events', alreadyThere: 'Of them there before', removedStreams: 'Removed streams', digest: 'Digest of the log', targetDigest: 'Digest of the copy' };

const counts = (body: JsonRecord, look: Look): string =>
  grid(look, ['CATEGORY', 'LOG', 'COPY'], listOf(body, 'categories').map((one) => ['category', 'source', 'target'].map((member) => textOf(one, member) ?? '-')));

const copy: Part = verb({
  name: 'copy',
  summary: 'Copy the log of a stopped server into an EventStoreDB',
  details:
    'For an installation that outgrows one machine: docs/operations.md, From one machine to several. Stop the server on the folder first; one that runs is a refusal, and none can start meanwhile. The target is named by KF_EVENT_STORE, as for a server ' +
    '(esdb://… or esdb+discover://…; it may hold a password, so there is no flag for it), and must be empty, or hold a part of this very copy: interrupted and run again, the copy goes on where it was. ' +
    'Every event keeps its stream, revision, id, bytes and metadata, and its place in the order; positions are those of the target, also where events name them. The folder is only read. ' +
    'At the end both logs are read again and compared: a count of each category, and SHA-256 over all of it. Only then is the master key registered, so no server starts on a copy that is not complete. ' +
    'No server is asked, and no API key is needed. Exit code 1 when it did not work or the digests differ. With --quiet: the digest.',
  examples: ["KF_EVENT_STORE='esdb://127.0.0.1:2113?tls=false' kf log copy --from data"],
  flags: { from: required('--from <data-dir>', text(4_096), 'the data folder of the stopped server') },
  withoutProfile: true,
  run: async (session, { from }) => {
    const report = await reportOf(session, from);
    if (report['equal'] !== true) throw new Failed(`the copy is not what the log says: ${textOf(report, 'difference') ?? ''}. Begin again with an empty EventStoreDB`);
    nextSteps(from).forEach((line) => session.output.note(line));
  },
});

export const log: Part = group('log', 'The event log of an installation', [copy]);

/** Shows how far the program is, and prints what came of it. Answers that. */
async function reportOf({ io, output }: Session, folder: string): Promise<JsonRecord> {
  const progress = progressOn(io, output);
  const told = new Set<string>();
  try {
    for await (const line of io.logCopy(folder, io.signal)) {
      const said = readJson(line);
      const [event, data] = [textOf(said, 'event'), recordOf(said, 'data') ?? {}];
      if (event === 'progress') progress.show(stepOf(data));
      if (event === 'trouble') tellOnce(data, told, output);
      if (event === 'failed') throw failureOf(data);
      if (event !== 'result') continue;
      progress.end();
      output.answer({ text: JSON.stringify(data), body: data }, result);
      return data;
    }
  } finally {
    progress.end();
  }
  throw new Failed(`the copy ${io.signal.aborted ? 'was interrupted' : 'ended'} before it was complete. Run it again: it goes on where it was`);
}

const stepOf = ({ position, head, step }: JsonRecord): Step => ({ done: Number(position), total: Number(head), more: step === 'verify' ? ', verifying' : ', copying' });

const failureOf = (data: JsonRecord): Error => {
  const issues = listOf(data, 'issues').map((issue) => scalar(issue) ?? '');
  return data['usage'] === true ? new UsageError(issues) : new Failed(issues.join('\n'));
};

/** The same trouble comes back with every try. */
function tellOnce(data: JsonRecord, told: Set<string>, output: Output): void {
  const detail = textOf(data, 'detail') ?? '';
  if (told.has(detail)) return;
  told.add(detail);
  output.note(`The target does not answer, and is asked again: ${detail}`);
}

const nextSteps = (folder: string): readonly string[] => [
  'The copy is complete. From here on:',
  `  1. Start no server on ${folder} any more: it would deliver what the new ones deliver. Keep the folder as a backup.`,
  `  2. For every server on the copy set KF_EVENT_STORE as it is now, KF_MASTER_KEY to the text of ${join(folder, 'master.key')} (or to what it was), KF_ROOT_KEY to the text of root.key there (or to what it was), and`,
  '     KF_DATA_DIR to a new, empty folder: read models of the old log do not fit. What KF_SECRETS_DIR and KF_WEBHOOK_SECRET_… gave to the old server, give to the new ones.',
  '  3. Start them, and compare what they show with the log: kf audit replay',
];
