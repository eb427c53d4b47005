import { formatSite, type Principal, samePrincipal } from '#kernel';
import { type CommonValues, commandVerb, namedActor, ownActor, siteFlags, siteOf } from '../command.ts';
import { type Flag, nameless, optional, required, toggle } from '../flags.ts';
import { actorType, gateable, moment, name, oneOf, principalId, resourceId, revision, text } from '../forms.ts';
import type { Answer } from '../http.ts';
import { canAsk, confirmed, readFileText } from '../input.ts';
import { Failed, UsageError } from '../io.ts';
import { isRecord, JsonText, listOf, recordOf, textOf } from '../json.ts';
import { allPages, follow, pageFlags, pageQuery, printPage } from '../pages.ts';
import type { Session } from '../session.ts';
import { group, type Part, verb } from '../verb.ts';
import { approvalList, approvalSheet } from './approval-view.ts';
import { policy } from './policy.ts';

const who = '--tenant tnt_demo --actor-type USER --actor-id usr_sam';
const approver = '--tenant tnt_demo --actor-type USER --actor-id usr_kim';

const request = commandVerb({
  name: 'request',
  commandType: 'RequestApproval',
  summary: 'Ask for permission to run one command on one resource, once',
  details:
    '--expires-on is the hard end for deciding and for using; --due-on is when the decision is wanted. ' +
    "Where the policy binds the payload, --payload-file holds the payload of the command as it will be sent. With --quiet: the approval's id.",
  examples: [`kf approval request ${who} --command-type RotateWebhookSubscriptionSecret --resource-id <id> --expires-on +4h --due-on +1h --reason 'key was in a log'`],
  flags: {
    commandType: required('--command-type <type>', gateable, 'the command to be allowed'),
    resourceId: required('--resource-id <id>', resourceId, 'the resource it will change'),
    expiresOn: required('--expires-on <time>', moment, 'RFC 3339 or +30m, +2h, +3d: until when it may be decided and used'),
    dueOn: optional('--due-on <time>', moment, 'when the decision is wanted, in the same forms'),
    reason: optional('--reason <text>', text(1_000), 'why it is needed: approvers see it'),
    payloadFile: optional('--payload-file <file>', text(4_096), 'the payload to be approved, as JSON'),
  },
  ask: ({ expiresOn, dueOn, payloadFile, ...payload }, { io }) => {
    const now = io.clock.now();
    const times = { expiresOn: expiresOn(now), dueOn: dueOn?.(now) };
    if (times.dueOn !== undefined && Date.parse(times.dueOn) > Date.parse(times.expiresOn)) throw new UsageError([`--due-on: expected a time not after --expires-on, got ${times.dueOn} after ${times.expiresOn}`]);
    return { payload: { ...payload, ...times, payload: payloadFile === undefined ? undefined : payloadOf(payloadFile) } };
  },
});

function payloadOf(file: string): JsonText {
  const payload = JsonText.of(readFileText(file, '--payload-file'));
  if (payload === undefined || !payload.text.startsWith('{')) throw new UsageError([`--payload-file: expected ${file} to hold a JSON object`]);
  return payload;
}

interface Decision<Reason> {
  readonly name: string;
  readonly commandType: string;
  readonly summary: string;
  readonly details: string;
  readonly reason: Flag<Reason>;
  readonly question: string;
  /** What is decided is looked at also where nobody can be asked, and the revision that was shown is sent. */
  readonly looks: boolean;
}

const why = '--reason <text>';
const optionalReason = optional(why, text(1_000), 'why; it is kept with the decision');
const requiredReason = required(why, text(1_000), 'why: the requester will ask');

const decision = <Reason extends string | undefined>(of: Decision<Reason>): Part =>
  commandVerb({
    ...of,
    examples: [`kf approval ${of.name} ${of.name === 'withdraw' ? who : approver} --approval-id <id>${of.reason === requiredReason ? " --reason 'not during the release'" : ''}`],
    flags: {
      approvalId: required('--approval-id <id>', name, 'the approval'),
      reason: of.reason,
      ifRevision: optional('--if-revision <n>', revision, 'only when the approval is at this revision; by default the one that was shown'),
      yes: toggle('--yes', 'do not ask'),
    },
    ask: async ({ approvalId, reason, ifRevision, yes }, session, common) => {
      const asks = !yes && canAsk(session.io);
      const shown = of.looks || asks ? await look(session, common, approvalId, asks) : undefined;
      if (asks && !(await confirmed(session.io, of.question))) throw new Failed('not confirmed: nothing was sent');
      return { payload: { approvalId, reason }, expectedRevision: ifRevision ?? shown };
    },
  });

/** Shows an approval on stderr, and answers the revision that was shown. */
async function look(session: Session, common: CommonValues, approvalId: string, asks: boolean): Promise<number | undefined> {
  const { body } = await session.ask(approvalRequest(common, approvalId));
  const { output, io } = session;
  const sheet = approvalSheet(body, output.asideLook, io.clock.now());
  if (asks) output.warn(sheet);
  else output.note(sheet);
  const shown = Number(textOf(body, 'revision'));
  return Number.isSafeInteger(shown) ? shown : undefined;
}

const approvalRequest = (where: Pick<CommonValues, 'tenant' | 'environment'>, approvalId: string): { method: 'GET'; path: string; query: { siteId: string } } => ({
  method: 'GET',
  path: `/api/approvals/${encodeURIComponent(approvalId)}`,
  query: { siteId: formatSite(siteOf(where)) },
});

const grant = decision({
  name: 'grant',
  commandType: 'GrantApproval',
  summary: 'Allow what was asked',
  details: 'Shows who asks for what and until when, asks on a terminal (elsewhere it goes on without), and grants exactly what it showed. Needs an API key bound to the approver; nobody who asked may grant.',
  reason: optionalReason,
  question: 'Grant it?',
  looks: true,
});
const deny = decision({
  name: 'deny',
  commandType: 'DenyApproval',
  summary: 'Refuse what was asked; one is enough',
  details: 'Asks on a terminal. Needs an API key bound to the approver.',
  reason: requiredReason,
  question: 'Deny it?',
  looks: false,
});
const withdraw = decision({
  name: 'withdraw',
  commandType: 'WithdrawApproval',
  summary: "Take back one's own request, also when it was granted",
  details: "Asks on a terminal. After the answer the approval can't be used any more.",
  reason: optionalReason,
  question: 'Withdraw it?',
  looks: false,
});
const revoke = decision({
  name: 'revoke',
  commandType: 'RevokeApproval',
  summary: 'Take back a granted approval before it is used',
  details: "Asks on a terminal. After the answer the approval can't be used any more; when it was used before, the answer says by which command.",
  reason: requiredReason,
  question: 'Revoke it?',
  looks: false,
});

const statuses = oneOf('PENDING', 'APPROVED', 'CONSUMED', 'DENIED', 'WITHDRAWN', 'REVOKED', 'INVALIDATED', 'EXPIRED');

const list = verb({
  name: 'list',
  summary: 'List the approvals of a site',
  details: '--watch prints what is new or changed until interrupted, one JSON object a line unless it prints a table. --mine and --watch read all pages.',
  examples: ['kf approval list --tenant tnt_demo --status PENDING', 'kf approval list --tenant tnt_demo --mine --watch'],
  flags: {
    ...siteFlags,
    status: optional('--status <status>', statuses, statuses.expected),
    mine: toggle('--mine', "only those that I asked for, or that were asked for me: I am the actor given, else the profile's, else the API key's"),
    watch: toggle('--watch', 'go on until interrupted'),
    ...pageFlags,
    actorType: optional('--actor-type <type>', actorType, 'with --mine: who I am'),
    actorId: optional('--actor-id <id>', principalId, 'with --mine: who I am'),
  },
  run: async (session, values) => {
    const { status, mine, watch, limit, cursor } = values;
    if ((mine || watch) && (limit ?? cursor) !== undefined) throw new UsageError(['--limit and --cursor do not go with --mine or --watch, which read all pages']);
    const asked = { method: 'GET', path: '/api/approvals', query: { siteId: formatSite(siteOf(values)), status } } as const;
    const me = mine ? await whoIAm(session, values) : undefined;
    const all = (): Promise<Answer> => allPages(session, asked, (item) => me === undefined || concerns(item, me));
    const view = approvalList(session.io.clock.now());
    if (watch) return follow(session, all, (answer, first) => session.output.answer(answer, approvalList(session.io.clock.now(), { headings: first }), true));
    printPage(session, mine ? await all() : await session.ask({ ...asked, query: { ...asked.query, ...pageQuery({ limit, cursor }) } }), view);
  },
});

const whoIAm = async (session: Session, { actorType: type, actorId: id }: Pick<CommonValues, 'actorType' | 'actorId'>): Promise<Principal> => namedActor(type, id) ?? ownActor(session);

const concerns = (approval: unknown, me: Principal): boolean =>
  [recordOf(approval, 'requester'), ...listOf(approval, 'onBehalfOf')].some((one) => isRecord(one) && samePrincipal({ type: one['type'] as Principal['type'], id: String(one['id']) }, me));

const get = verb({
  name: 'get',
  summary: 'Show one approval',
  details: '--watch prints it again whenever it changes, until it is decided or over.',
  examples: ['kf approval get --tenant tnt_demo --approval-id <id>', 'kf approval get <id> --tenant tnt_demo --watch'],
  flags: {
    ...siteFlags,
    approvalId: nameless(required('--approval-id <id>', name, 'the approval')),
    watch: toggle('--watch', 'wait until it is no longer PENDING'),
  },
  run: async (session, values) => {
    const ask = (): Promise<Answer> => session.ask(approvalRequest(values, values.approvalId));
    const print = ({ text, body }: Answer): void =>
      session.output.answer({ text, body }, { table: (shown, look) => approvalSheet(shown, look, session.io.clock.now()), essentials: (shown) => [textOf(shown, 'status') ?? ''] }, values.watch);
    if (!values.watch) return print(await ask());
    await follow(session, ask, print, ({ body }) => textOf(body, 'status') !== 'PENDING');
  },
});

export const approval: Part = group('approval', 'Permissions by other people', [request, grant, deny, withdraw, revoke, list, get, policy]);
