import { argument } from '../flags.ts';
import { name } from '../forms.ts';
import { recordOf, textOf } from '../json.ts';
import { type Column, listView, printPage } from '../pages.ts';
import type { View } from '../output.ts';
import { factsOf, sheet, show } from '../table.ts';
import { group, type Part, verb } from '../verb.ts';
import { statusView } from './status-view.ts';

const facts = (essential: (body: Readonly<Record<string, unknown>>) => string | undefined): View => ({
  table: (body, look) => sheet(look, factsOf(look, body)),
  essentials: (body) => [essential(body) ?? ''],
});

export const whoami: Part = verb({
  name: 'whoami',
  summary: 'Show whom the API key speaks for, and what it may do',
  examples: ['kf whoami'],
  flags: {},
  run: async ({ ask, output }) => {
    const actorOf = (body: Readonly<Record<string, unknown>>): string => show({ color: false, timeZone: undefined }, recordOf(body, 'actor') ?? recordOf(body, 'defaultActor'));
    output.answer(await ask({ method: 'GET', path: '/api/whoami' }), facts(actorOf));
  },
});

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];
const columns: readonly Column[] = [
  column('NAME', 'name'),
  column('STATE', 'state'),
  column('POSITION', 'position'),
  ['BEHIND', (item) => `${textOf(item, 'behindMs') ?? '?'} ms`],
  ['STOPPED AT', (item, look) => (recordOf(item, 'poison') === undefined ? '-' : `${show(look, recordOf(item, 'poison')?.['position'])}: ${show(look, recordOf(item, 'poison')?.['error'])}`)],
];

const projectionList = listView(columns, 'name');

export const status: Part = verb({
  name: 'status',
  summary: 'Show how the server is doing, and who does what where several processes share the work',
  details:
    'The first line says whether the process that answers is ready, how many processes there are, and what nobody does. Which processes there are, and what waits to be delivered, is told to API keys with the scope admin. ' +
    'Processes hear of each other through Redis every 3 s; one that was silent for 15 s is no longer shown. With --quiet: READY or NOT_READY.',
  examples: ['kf status', "kf status --json | jq '.unowned'"],
  flags: {},
  run: async ({ ask, output }) =>
    output.answer(await ask({ method: 'GET', path: '/api/status' }), statusView(projectionList)),
});

const projectionStatus = verb({
  name: 'status',
  summary: 'Show how far each read model is, and which one stopped at which event',
  examples: ['kf projection status'],
  flags: {},
  run: async (session) => printPage(session, await session.ask({ method: 'GET', path: '/api/projections' }), projectionList),
});

const rebuild = verb({
  name: 'rebuild',
  summary: 'Make a read model anew from the log',
  details: 'Nothing is lost: read models hold only what the log says. Follow it with kf projection status. Needs an API key with the scope admin.',
  examples: ['kf projection rebuild subscriptions'],
  flags: { projection: argument('name', name, 'the read model, as kf projection status names it') },
  run: async ({ ask, output }, { projection }) =>
    output.answer(
      await ask({ method: 'POST', path: `/api/projections/${encodeURIComponent(projection)}/rebuild` }),
      facts((body) => textOf(body, 'name') ?? projection),
    ),
});

export const projection: Part = group('projection', 'Read models', [projectionStatus, rebuild]);
