import { isPosition, parseInstant } from '#kernel';
import { argument, required } from '../flags.ts';
import { type Form, key, revision } from '../forms.ts';
import { recordOf, textOf } from '../json.ts';
import type { View } from '../output.ts';
import { siteVerb } from '../site.ts';
import { factsOf, sheet } from '../table.ts';

const moments: Readonly<Record<string, (text: string) => boolean>> = {
  time: (text) => parseInstant(text) !== undefined,
  position: isPosition,
  revision: (text) => revision.read(text) !== undefined,
};

const asOf: Form<string> = {
  expected: 'time:<RFC 3339 with an offset>, position:<position> or revision:<whole number>',
  read: (given) => {
    const colon = given.indexOf(':');
    return moments[given.slice(0, colon)]?.(given.slice(colon + 1)) === true ? given : undefined;
  },
};

const past: View = {
  table: ({ state: then, ...body }, look) => [sheet(look, factsOf(look, body)), ...(then === null || then === undefined ? [] : [sheet(look, factsOf(look, then))])].join('\n\n'),
  essentials: (body) => [textOf(body, 'revision') ?? ''],
};

export const state = siteVerb({
  name: 'state',
  summary: 'Show what something was at an earlier time',
  details:
    'Folds its own events up to there: revision:<n> is exact, position:<p> takes what stands in the log up to p, time:<t> up to the last event that was recorded by then. ' +
    'The resource is a subscription, a delivery, an approval, an approval policy (its command type), an API key, a recovery or an event. Needs the scope site:<site>:audit. With --quiet: the revision.',
  examples: ['kf audit state whs_01k8… --site tnt_demo --as-of revision:3', 'kf audit state whs_01k8… --site tnt_demo --as-of time:2026-11-03T14:00:00+01:00'],
  flags: {
    resourceId: argument('resource-id', key, 'the id of the resource'),
    asOf: required('--as-of <when>', asOf, 'time:<RFC 3339>, position:<p> or revision:<n>'),
  },
  run: async ({ askSite, output }, { resourceId, asOf: when }) => {
    const answer = await askSite({ method: 'GET', path: `/api/audit/states/${encodeURIComponent(resourceId)}`, query: { asOf: when } });
    output.answer(answer, past);
    if (recordOf(answer.body, 'state') === undefined) output.note('It did not exist then, or not any more.');
  },
});
