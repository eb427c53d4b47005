import { Command, CommandHandler, type ICommandHandler } from '@nestjs/cqrs';
import type { Type } from '@nestjs/common';
import type { CommandAnswer, CommandRequest, EventToPublish, Published, Publisher } from '#command-pipeline';
import type { CommandType } from '#contracts';
import type { Refusal } from '#kernel';
import { Commands, Publishing } from '../parts.ts';

/** A command that goes through the pipeline; what its type does stands in the command-pipeline lib, under its name. */
export abstract class GovernedCommand extends Command<CommandAnswer | Refusal> {
  constructor(readonly request: CommandRequest) {
    super();
  }
}

export class UpsertWebhookSubscription extends GovernedCommand {}
export class PauseWebhookSubscription extends GovernedCommand {}
export class ResumeWebhookSubscription extends GovernedCommand {}
export class DeleteWebhookSubscription extends GovernedCommand {}
export class RestoreWebhookSubscription extends GovernedCommand {}
export class RotateWebhookSubscriptionSecret extends GovernedCommand {}
export class ReplayWebhookDelivery extends GovernedCommand {}
export class RecoverWebhookDeliveries extends GovernedCommand {}
export class CancelWebhookRecovery extends GovernedCommand {}
export class TestWebhookSubscription extends GovernedCommand {}
export class RequestApproval extends GovernedCommand {}
export class GrantApproval extends GovernedCommand {}
export class DenyApproval extends GovernedCommand {}
export class WithdrawApproval extends GovernedCommand {}
export class RevokeApproval extends GovernedCommand {}
export class SetApprovalPolicy extends GovernedCommand {}
export class CreateApiKey extends GovernedCommand {}
export class RevokeApiKey extends GovernedCommand {}

export const governedCommands: Readonly<Record<Exclude<CommandType, 'PublishEvent'>, Type<GovernedCommand>>> = {
  UpsertWebhookSubscription,
  PauseWebhookSubscription,
  ResumeWebhookSubscription,
  DeleteWebhookSubscription,
  RestoreWebhookSubscription,
  RotateWebhookSubscriptionSecret,
  ReplayWebhookDelivery,
  RecoverWebhookDeliveries,
  CancelWebhookRecovery,
  TestWebhookSubscription,
  RequestApproval,
  GrantApproval,
  DenyApproval,
  WithdrawApproval,
  RevokeApproval,
  SetApprovalPolicy,
  CreateApiKey,
  RevokeApiKey,
};

/** Every governed command has the same handler: the bus binds one class to each. */
function handlerOf(command: Type<GovernedCommand>): Type<ICommandHandler> {
  @CommandHandler(command)
  class Handler implements ICommandHandler<GovernedCommand> {
    constructor(private readonly commands: Commands) {}

    execute({ request }: GovernedCommand): Promise<CommandAnswer | Refusal> {
      return this.commands.execute(request);
    }
  }
  return Handler;
}

/** Publishes events, each of them on its own: one result for each, in their order. */
export class PublishEvents extends Command<readonly (Published | Refusal)[]> {
  constructor(
    readonly publisher: Publisher,
    readonly events: readonly EventToPublish[],
  ) {
    super();
  }
}

@CommandHandler(PublishEvents)
class PublishEventsHandler implements ICommandHandler<PublishEvents> {
  constructor(private readonly publishing: Publishing) {}

  execute({ publisher, events }: PublishEvents): Promise<readonly (Published | Refusal)[]> {
    // All at once: they go to disk together, and none waits for the one before.
    return Promise.all(events.map((event) => this.publishing.publish(publisher, event)));
  }
}

export const commandHandlers: readonly Type<ICommandHandler>[] = [...Object.values(governedCommands).map(handlerOf), PublishEventsHandler];
