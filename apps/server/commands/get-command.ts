import { Controller, Get, Param } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { CommandRecordDto } from '#contracts';
import { formatInstant, formatSite, type Site } from '#kernel';
import { noSuchThing } from '../access/authorize.ts';
import { ForSite, SiteOfRequest } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';
import { type CommandRecord, CurrentState } from '../parts.ts';

export class GetCommand extends Query<CommandRecord | undefined> {
  constructor(
    readonly site: Site,
    readonly commandId: string,
  ) {
    super();
  }
}

@QueryHandler(GetCommand)
export class GetCommandHandler implements IQueryHandler<GetCommand> {
  constructor(private readonly current: CurrentState) {}

  execute({ site, commandId }: GetCommand): Promise<CommandRecord | undefined> {
    return this.current.command(site, commandId);
  }
}

@Controller('api/commands')
export class GetCommandController {
  constructor(private readonly queryBus: QueryBus) {}

  @Get(':commandId')
  @ForSite('read')
  @Takes('siteId')
  @Describe({
    tag: 'Commands',
    operationId: 'getCommand',
    summary: 'What became of a command',
    description: 'Not of a `PublishEvent`, whose record is the event itself: 404 here; read `GET /api/events/{eventId}`.',
    answer: CommandRecordDto,
    problems: ['not-found'],
  })
  async get(@SiteOfRequest() site: Site, @Param('commandId') commandId: string): Promise<CommandRecordDto> {
    const record = await this.queryBus.execute(new GetCommand(site, commandId));
    if (record === undefined) throw noSuchThing();
    const { recordedAtMs, ...rest } = record;
    return { ...rest, siteId: formatSite(site), recordedAt: formatInstant(recordedAtMs) };
  }
}
