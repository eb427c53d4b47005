import { Inject } from '@nestjs/common';
import { type IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { type CommandRequest, type DryRunAnswer, type EventToPublish, commandIdOf } from '#command-pipeline';
import { refuse } from '#kernel';
import { eventPublished } from '#publishing';
import { Commands, READS, type Reads } from '../parts.ts';

/** What a command would do now. */
export class DryRun extends Query<DryRunAnswer> {
  constructor(readonly request: CommandRequest) {
    super();
  }
}

@QueryHandler(DryRun)
export class DryRunHandler implements IQueryHandler<DryRun> {
  constructor(private readonly commands: Commands) {}

  execute({ request }: DryRun): Promise<DryRunAnswer> {
    return this.commands.dryRun(request);
  }
}

/** What publishing an event would do now. */
export class DryRunPublish extends Query<DryRunAnswer> {
  constructor(
    readonly request: CommandRequest,
    readonly event: EventToPublish,
  ) {
    super();
  }
}

@QueryHandler(DryRunPublish)
export class DryRunPublishHandler implements IQueryHandler<DryRunPublish> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  async execute({ request, event }: DryRunPublish): Promise<DryRunAnswer> {
    const { site, idempotencyKey } = request;
    const answer = { commandId: commandIdOf(site, idempotencyKey, 'caller'), commandType: 'PublishEvent', resourceId: idempotencyKey };
    const there = await this.reads.event(site, idempotencyKey);
    if (there === undefined) return { ...answer, outcome: 'APPLIED', events: [{ type: eventPublished, data: { eventId: idempotencyKey, type: event.type, occurredAt: event.occurredAt } }], unmet: [] };
    const same = there.type === event.type && there.dataText === event.dataText && there.occurredAt === event.occurredAt;
    if (same) return { ...answer, outcome: 'NO_CHANGE', events: [], unmet: [] };
    return { ...answer, outcome: 'REFUSED', events: [], unmet: [refuse('idempotency-key-reused', `Another event has the id ${idempotencyKey}.`)] };
  }
}
