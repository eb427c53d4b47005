import { optional } from '../flags.ts';
import { position } from '../forms.ts';
import { NoAnswer } from '../http.ts';
import { Failed } from '../io.ts';
import { isRecord, type JsonRecord, readJson, textOf } from '../json.ts';
import type { Output, View } from '../output.ts';
import { progressOn, type Step } from '../progress.ts';
import { type SiteSession, siteVerb } from '../site.ts';
import { eventStream } from '../sse.ts';
import { sheet, show } from '../table.ts';

const result: View = {
  table: (body, look) => {
    const facts = ['position', 'events', 'digest', 'livePosition', 'liveDigest'].map((member) => [titles[member] ?? '', show(look, body[member])] as const);
    return `${sheet(look, facts)}\n\n${verdict(body)}`;
  },
  essentials: (body) => [textOf(body, 'digest') ?? ''],
};

const titles: Readonly<Record<string, string>> = { position: 'Replayed to position', events: 'Events', digest: 'Digest', livePosition: 'Live at position', liveDigest: 'Live digest' };

function verdict({ equal }: JsonRecord): string {
  if (equal === true) return 'The digests are equal: the live read models are what the log says.';
  return equal === false ? 'The digests differ: the live read models are not what the log says.' : "The live read models are at another position: the digests can't be compared.";
}

export const replay = siteVerb({
  name: 'replay',
  summary: 'Fold the log from its start, and compare what comes out with what is live',
  details:
    'The server folds the whole log, of all sites, into a scratch model and prints its digest beside the one of the live read models. One replay at a time in a server process. --to ends it at a position; its digest can be compared with the one of another replay to there. ' +
    'A broken connection ends it: start it again. Needs the scope site:<site>:audit. Exit code 1 when the digests differ. JSON is one object a line, the last one the result. With --quiet: the digest.',
  examples: ['kf audit replay --site tnt_demo', 'kf audit replay --site tnt_demo --to 120000'],
  flags: { to: optional('--to <position>', position, 'the last position to fold; else the head of the log') },
  run: async (session, { to }) => {
    const answer = await lastOf(session, to);
    if (answer['equal'] === false) throw new Failed('the digests differ. After a change of KF_HISTORY_DAYS they may, until the read models are made anew: kf projection rebuild');
  },
});

/** Prints each message as JSON, or shows how far it is and prints what came out. Answers that. */
async function lastOf({ io, output, openSite }: SiteSession, to: string | undefined): Promise<JsonRecord> {
  const progress = progressOn(io, output);
  try {
    for await (const { event, data } of eventStream(openSite, { path: '/api/audit/replay', query: { to } })) {
      const said = readJson(data);
      if (!isRecord(said)) continue;
      if (event === 'progress') progress.show(stepOf(said));
      else progress.end();
      if (event === 'result' || isLines(output)) output.answer({ text: data, body: said }, result, true);
      if (event === 'result') return said;
    }
  } finally {
    progress.end();
  }
  throw new NoAnswer('the replay ended without a result', true);
}

const isLines = ({ format, quiet }: Output): boolean => format !== 'table' && !quiet;
const stepOf = (body: JsonRecord): Step => ({ done: Number(body['position']), total: Number(body['head']), more: `, ${Number(body['events']).toLocaleString('en-US')} events` });
