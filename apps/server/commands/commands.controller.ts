import { Controller, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import type { FastifyReply } from 'fastify';
import type { CommandRequest, EventToPublish, Published } from '#command-pipeline';
import { CommandAnswerDto, type CommandType } from '#contracts';
import { type Actor, isRefusal } from '#kernel';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { actorOf, authorize } from '../access/authorize.ts';
import { ForKeys, Key } from '../access/routes.ts';
import { actorOnRecord } from '../audit/actor-on-record.ts';
import { BodyText } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { Problem, problemOf } from '../http/problem.ts';
import { type RequestTrace, Trace } from '../http/trace.ts';
import { Refusals } from '../parts.ts';
import { checkDataSize } from '../events/read-events.ts';
import { answerOf, dryRunAnswerOf } from './answer.ts';
import { catalogue } from './catalogue.ts';
import { governedCommands, PublishEvents } from './commands.ts';
import { DryRun, DryRunPublish } from './dry-run.ts';
import { requiredKey } from './idempotency-key.ts';
import { memberText, readCommand, readCommandType, type RequestedCommand } from './read-command.ts';

type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** The command surface: every change of anything goes in here, or through a REST route that sends the same command. */
@Controller('api/commands')
export class CommandsController {
  constructor(
    private readonly commandBus: CommandBus,
    private readonly queryBus: QueryBus,
    private readonly refusals: Refusals,
  ) {}

  @Post(':commandType')
  @HttpCode(200)
  @ForKeys()
  @Takes('dryRun')
  @Describe({ tag: 'Commands', operationId: 'command', summary: 'Send a command', headers: ['Idempotency-Key'], answerHeaders: ['Idempotency-Replayed'], answer: CommandAnswerDto })
  async send(
    @Param('commandType') typeText: string,
    @Query('dryRun') dryRun: string | undefined,
    @Headers() headers: RequestHeaders,
    @BodyText() text: string,
    @Key() key: AuthenticatedKey,
    @Trace() trace: RequestTrace,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    const commandType = readCommandType(typeText);
    const idempotencyKey = requiredKey(headers['idempotency-key']);
    const asked = readCommand(commandType, text);
    authorize(key, asked.site, catalogue[commandType].needs);
    const { payloadText, actor: claimed, ...rest } = asked;
    const unbound = { ...rest, ...trace, commandType, caller: key, idempotencyKey };
    const bind = (): Actor => actorOf(key, claimed);
    // A dry run writes nothing, not even that.
    const request: CommandRequest = { ...unbound, actor: dryRun === 'true' ? bind() : actorOnRecord(this.refusals, key, unbound, bind) };
    if (commandType === 'PublishEvent') return await this.publish(request, eventToPublish(request, asked, text), dryRun === 'true', reply);
    return dryRun === 'true' ? dryRunAnswerOf(await this.queryBus.execute(new DryRun(request))) : await this.execute(commandType, request, reply);
  }

  private async execute(commandType: Exclude<CommandType, 'PublishEvent'>, request: CommandRequest, reply: FastifyReply): Promise<CommandAnswerDto> {
    const answer = await this.commandBus.execute(new governedCommands[commandType](request));
    if (isRefusal(answer)) throw problemOf(answer);
    markReplay(reply, answer.replayed);
    return answerOf(commandType, answer);
  }

  private async publish(request: CommandRequest, event: EventToPublish, dryRun: boolean, reply: FastifyReply): Promise<object> {
    if (dryRun) return dryRunAnswerOf(await this.queryBus.execute(new DryRunPublish(request, event)));
    const [published] = await this.commandBus.execute(new PublishEvents(request, [event]));
    if (published === undefined) throw new TypeError('publishing one event gave no result');
    if (isRefusal(published)) throw problemOf(published);
    markReplay(reply, published.status === 'DUPLICATE');
    return publishedAnswer(published);
  }
}

/** Its key is the event's id: the same event twice is one event. */
function eventToPublish({ idempotencyKey, payload }: CommandRequest, { payloadText }: RequestedCommand, text: string): EventToPublish {
  const { eventId = idempotencyKey, type, occurredAt = null } = payload as { eventId?: string; type: string; occurredAt?: string };
  if (eventId !== idempotencyKey) {
    const message = 'must be the same as the header Idempotency-Key: the key of an event is its id';
    throw new Problem('validation-failed', `payload.eventId ${message}.`, { errors: [{ path: 'payload.eventId', message }] });
  }
  const dataText = memberText(text, payloadText, 'data');
  checkDataSize(dataText, 'payload.data');
  return { eventId, type, dataText, occurredAt };
}

const publishedAnswer = ({ commandId, eventId, position, status }: Published): CommandAnswerDto => ({
  commandId,
  commandType: 'PublishEvent',
  resourceId: eventId,
  outcome: 'APPLIED',
  revision: 1,
  position,
  replayed: status === 'DUPLICATE',
  result: { eventId },
});

function markReplay(reply: FastifyReply, replayed: boolean): void {
  if (replayed) void reply.header('idempotency-replayed', 'true');
}
