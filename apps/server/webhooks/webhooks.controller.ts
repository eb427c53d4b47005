import { Controller, Delete, Get, HttpCode, Param, Patch, Post, Query as QueryParameter, Res, UseInterceptors } from '@nestjs/common';
import { QueryBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import type { CommandAnswer } from '#command-pipeline';
import {
  ApprovedChangePayload,
  type CommandType,
  CreateWebhookPayload,
  inOneText,
  limits,
  pageSchema,
  refTo,
  RotateSecretPayload,
  SecretChangeDto,
  SubscriptionChangeDto,
  SubscriptionDto,
  UpdateWebhookPayload,
} from '#contracts';
import { formatSite, parseLabel, type Site } from '#kernel';
import { type Page, type SubscriptionHealth, untriedHealth } from '#read-models';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { secretText } from '../commands/answer.ts';
import { type Asked, Change, gateProblems, type RestChange, restChange, RestCommands } from '../commands/rest-commands.ts';
import { BodyText, invalidBody, OptionalBodyText, readBody } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { etag } from '../http/etag.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { invalid } from '../http/problem.ts';
import { GetSubscription, GetSubscriptionHealth, ListSubscriptions } from './subscriptions.ts';

const describedChange = { ...restChange, answerHeaders: ['ETag', ...restChange.answerHeaders] } as const;
const changeProblems = [...restChange.problems, ...gateProblems, 'subscription-deleted'] as const;
const onceOnly = 'The secret stands in `secret`, in this one answer and never again: a retry with the same `Idempotency-Key` answers null.';

function labelOf(given: string | undefined): readonly [name: string, value: string] | undefined {
  const label = given === undefined ? undefined : parseLabel(given);
  if (given !== undefined && label === undefined) throw invalid('label', 'must be a label as name=value, such as team=orders');
  return label;
}

/** The settings of a body as the command names them. */
const payloadOf = ({ url, events, retrySchedule, ...rest }: Omit<UpdateWebhookPayload, 'approvalId'>): Asked['payload'] => ({ targetUrl: url, eventPattern: inOneText(events), retrySchedule: inOneText(retrySchedule), ...rest });

/** The subscriptions of a site as nouns: what is made here is seen on the command surface, and the other way round. */
@Controller('api/webhooks')
export class WebhooksController {
  constructor(
    private readonly queryBus: QueryBus,
    private readonly commands: RestCommands,
  ) {}

  @Post()
  @HttpCode(201)
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...describedChange,
    tag: 'Webhooks',
    operationId: 'createWebhook',
    summary: 'Create a webhook subscription',
    description: `Events published from now on that match are delivered to the URL. ${onceOnly} A policy on \`UpsertWebhookSubscription\` may require an approval.`,
    body: refTo(CreateWebhookPayload),
    status: 201,
    answerHeaders: ['Location', ...describedChange.answerHeaders],
    answer: SecretChangeDto,
    problems: [...restChange.problems, ...gateProblems, 'target-url-refused'],
  })
  async create(@Change() change: RestChange, @BodyText() text: string): Promise<SecretChangeDto> {
    const { approvalId, ...settings } = readBody(CreateWebhookPayload, text);
    const answer = await this.commands.send('UpsertWebhookSubscription', change, { approvalId, payload: payloadOf(settings) });
    void change.reply.header('location', `/api/webhooks/${answer.resourceId}?siteId=${formatSite(change.site)}`);
    // A new one has not been tried: no other read can fail between its secret and the answer.
    const changed = await this.changed(change, answer, answer.replayed ? undefined : untriedHealth);
    return { ...changed, secret: secretText(answer) };
  }

  @Get()
  @ForSite('read')
  @Takes('siteId', 'includeDeleted', 'label', 'limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Webhooks', operationId: 'listWebhooks', summary: 'The webhook subscriptions of a site, newest first', description: 'Deleted ones are left out unless `includeDeleted=true`. A read model: it follows changes a moment later; `waitFor` waits for one.', answer: { schema: pageSchema(SubscriptionDto) } })
  async list(@SiteOfRequest() site: Site, @QueryParameter('includeDeleted') includeDeleted: string | undefined, @QueryParameter('label') label: string | undefined, @PageOfRequest() page: PageRequest): Promise<Page<SubscriptionDto>> {
    return answerPage(await this.queryBus.execute(new ListSubscriptions(site, { includeDeleted: includeDeleted === 'true', label: labelOf(label) }, page)), (subscription) => subscription);
  }

  @Get(':subscriptionId')
  @ForSite('read')
  @Takes('siteId')
  @Describe({ tag: 'Webhooks', operationId: 'getWebhook', summary: 'A webhook subscription as it is now', description: 'Never with its secret. A deleted one has the status `DELETED` and `purgeAt`, until when it can be restored; afterwards it is 404. `health` comes from a read model and may be a moment old.', answer: SubscriptionDto, answerHeaders: ['ETag'], problems: ['not-found'] })
  async get(@SiteOfRequest() site: Site, @Param('subscriptionId') subscriptionId: string, @Res({ passthrough: true }) reply: FastifyReply): Promise<SubscriptionDto> {
    return await this.show(reply, new GetSubscription(site, subscriptionId));
  }

  @Patch(':subscriptionId')
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...describedChange,
    tag: 'Webhooks',
    operationId: 'updateWebhook',
    summary: 'Change a webhook subscription',
    description: 'What the body leaves out stays as it is, also when others change it at the same moment. The secret is changed by rotating it. It is one `UpsertWebhookSubscription`; a change of the status needs also what `PauseWebhookSubscription` or `ResumeWebhookSubscription` needs. Pausing answers when no attempt starts any more.',
    body: refTo(UpdateWebhookPayload),
    example: { events: ['version.*', 'claim.**'], status: 'PAUSED' },
    answer: SubscriptionChangeDto,
    problems: [...changeProblems, 'target-url-refused'],
  })
  async update(@Param('subscriptionId') id: string, @Change() change: RestChange, @BodyText() text: string): Promise<SubscriptionChangeDto> {
    const { approvalId, ...settings } = readBody(UpdateWebhookPayload, text);
    const payload = payloadOf(settings);
    if (Object.values(payload).every((value) => value === undefined)) throw invalidBody([{ path: '', message: 'the body must say what to change: url, events, filter, description, deliveryMode, timeoutMs, retrySchedule, rateLimit, labels, headers or status' }]);
    return (await this.change('UpsertWebhookSubscription', id, change, { approvalId, payload })).changed;
  }

  @Delete(':subscriptionId')
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...describedChange,
    tag: 'Webhooks',
    operationId: 'deleteWebhook',
    summary: 'Delete a webhook subscription',
    description: 'It answers when no attempt starts any more; open deliveries are cancelled. For 30 days, until `subscription.purgeAt`, it can be restored; then it is purged and its secrets are shredded. A policy on `DeleteWebhookSubscription` may require an approval.',
    answer: SubscriptionChangeDto,
    problems: [...restChange.problems, ...gateProblems],
  })
  async delete(@Param('subscriptionId') id: string, @Change() change: RestChange, @OptionalBodyText() text: string): Promise<SubscriptionChangeDto> {
    const { approvalId } = readBody(ApprovedChangePayload, text);
    return (await this.change('DeleteWebhookSubscription', id, change, { approvalId, payload: {} })).changed;
  }

  @Post(':subscriptionId/restore')
  @HttpCode(200)
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...describedChange,
    tag: 'Webhooks',
    operationId: 'restoreWebhook',
    summary: 'Bring a deleted webhook subscription back',
    description: 'With the status it had before. What was published meanwhile is not delivered, and deliveries that the deletion cancelled stay cancelled. A policy on `RestoreWebhookSubscription` may require an approval.',
    body: refTo(ApprovedChangePayload),
    bodyOptional: true,
    answer: SubscriptionChangeDto,
    problems: [...restChange.problems, ...gateProblems],
  })
  async restore(@Param('subscriptionId') id: string, @Change() change: RestChange, @OptionalBodyText() text: string): Promise<SubscriptionChangeDto> {
    const { approvalId } = readBody(ApprovedChangePayload, text);
    return (await this.change('RestoreWebhookSubscription', id, change, { approvalId, payload: {} })).changed;
  }

  @Post(':subscriptionId/rotate-secret')
  @HttpCode(200)
  @ForSite('write')
  @Takes('siteId', 'approvalId')
  @Describe({
    ...describedChange,
    tag: 'Webhooks',
    operationId: 'rotateWebhookSecret',
    summary: 'Replace the signing secret; the old one signs beside it for a while',
    description: `${onceOnly} Unless the site's policy says otherwise it needs an approval by another person: the refusal holds the body for \`POST /api/commands/RequestApproval\`; when it is granted, send this request again. For \`graceSeconds\` (86400, a day, when left out; at most ${limits.graceSeconds}, a week; 0: not at all) deliveries carry both signatures.`,
    body: refTo(RotateSecretPayload),
    bodyOptional: true,
    answer: SecretChangeDto,
    problems: changeProblems,
  })
  async rotateSecret(@Param('subscriptionId') id: string, @Change() change: RestChange, @OptionalBodyText() text: string): Promise<SecretChangeDto> {
    const { approvalId, ...payload } = readBody(RotateSecretPayload, text);
    const { answer, changed } = await this.change('RotateWebhookSubscriptionSecret', id, change, { approvalId, payload });
    return { ...changed, secret: secretText(answer) };
  }

  /** What is not there is 404 whatever the request demands of it (RFC 9110, section 13.2.1); and what else could fail is read before the command. */
  private async change(commandType: Exclude<CommandType, 'PublishEvent'>, id: string, change: RestChange, { approvalId, payload }: Asked): Promise<{ readonly answer: CommandAnswer; readonly changed: SubscriptionChangeDto }> {
    const health = await this.queryBus.execute(new GetSubscriptionHealth(change.site, id));
    if (health === undefined) throw noSuchThing();
    const answer = await this.commands.send(commandType, change, { approvalId, payload: { webhookSubscriptionId: id, ...payload } });
    return { answer, changed: await this.changed(change, answer, health) };
  }

  private async changed({ site, reply }: RestChange, { commandId, outcome, revision, position, resourceId }: CommandAnswer, health: SubscriptionHealth | undefined): Promise<SubscriptionChangeDto> {
    return { subscription: await this.show(reply, new GetSubscription(site, resourceId, health)), commandId, outcome, revision, position };
  }

  private async show(reply: FastifyReply, query: GetSubscription): Promise<SubscriptionDto> {
    const subscription = await this.queryBus.execute(query);
    if (subscription === undefined) throw noSuchThing();
    void reply.header('etag', etag(subscription.revision));
    return subscription;
  }
}
