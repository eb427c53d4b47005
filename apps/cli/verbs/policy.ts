import { formatSite } from '#kernel';
import { administrationVerb, siteFlags, siteOf, written } from '../command.ts';
import { optional, repeated, required } from '../flags.ts';
import { approver, duration, gateable, oneOf, wholeNumber, yesOrNo } from '../forms.ts';
import { UsageError } from '../io.ts';
import { textOf } from '../json.ts';
import { type Column, listView, printPage } from '../pages.ts';
import { factsOf, sheet, show } from '../table.ts';
import { group, type Part, verb } from '../verb.ts';

const column = (heading: string, member: string): Column => [heading, (item, look) => show(look, item[member])];
const columns = [
  column('COMMAND', 'commandType'),
  column('REQUIRED', 'required'),
  column('APPROVALS', 'minApprovals'),
  column('APPROVERS', 'approvers'),
  column('BINDING', 'binding'),
  column('EXECUTOR', 'executor'),
];

const get = verb({
  name: 'get',
  summary: 'Show what a command type needs before it may run, or all command types',
  examples: ['kf approval policy get --tenant tnt_demo --command-type RotateWebhookSubscriptionSecret', 'kf approval policy get --tenant tnt_demo'],
  flags: { ...siteFlags, commandType: optional('--command-type <type>', gateable, 'the command type; all when omitted') },
  run: async (session, values) => {
    const query = { siteId: formatSite(siteOf(values)) };
    if (values.commandType === undefined) return printPage(session, await session.ask({ method: 'GET', path: '/api/approval-policies', query }), listView(columns, 'commandType'));
    const answer = await session.ask({ method: 'GET', path: `/api/approval-policies/${values.commandType}`, query });
    session.output.answer(answer, { table: (body, look) => sheet(look, factsOf(look, body)), essentials: (body) => [textOf(body, 'required') ?? ''] });
  },
});

const set = administrationVerb({
  name: 'set',
  commandType: 'SetApprovalPolicy',
  summary: 'Say what a command type needs before it may run',
  details: 'What is left out keeps its value. Approvals given under the policy before are no longer valid. Needs an API key with the scope admin.',
  examples: [
    'kf approval policy set --tenant tnt_demo --command-type RotateWebhookSubscriptionSecret --required --min-approvals 2 --approver USER:usr_kim --approver USER:usr_lee',
    'kf approval policy set --tenant tnt_demo --command-type PauseWebhookSubscription --required false',
  ],
  flags: {
    commandType: required('--command-type <type>', gateable, 'the command type'),
    required: required('--required [true|false]', yesOrNo, 'whether it needs approval; a bare flag means true'),
    minApprovals: optional('--min-approvals <n>', wholeNumber(1, 20), 'how many people must grant'),
    approver: repeated('--approver <TYPE:ID>', approver, 'who may vote; any means everybody with a key of their own that may approve'),
    binding: optional('--binding <level>', oneOf('RESOURCE', 'PAYLOAD'), 'RESOURCE: any change of that kind on it; PAYLOAD: exactly the payload that was asked for'),
    maxTtl: optional('--max-ttl <duration>', duration, 'the longest time an approval may live, for example 24h'),
    dueOnMode: optional('--due-on-mode <mode>', oneOf('reminder', 'closesDecision'), 'what passes at --due-on: a reminder, or the chance to decide'),
    executor: optional('--executor <who>', oneOf('REQUESTER', 'ANYONE'), 'who may use a granted approval'),
    voters: optional('--voters <how>', oneOf('BOUND', 'ASSERTED'), 'BOUND: votes need a key of the voter; ASSERTED: a trusted front end names the voter'),
  },
  ask: ({ approver: approvers, maxTtl, ...payload }) => {
    const named = approvers.filter((one) => one !== 'any');
    if (named.length > 0 && named.length < approvers.length) throw new UsageError(['--approver: give names, or any, not both']);
    const list = named.length > 0 ? named.map(written) : approvers.length > 0 ? null : undefined;
    return { payload: { ...payload, maxTtlSeconds: maxTtl, approvers: list } };
  },
});

export const policy: Part = group('policy', 'What a command type needs before it may run', [get, set]);
