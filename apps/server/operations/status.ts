import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { pageSchema, ProjectionDto, StatusDto } from '#contracts';
import { formatInstant, isRefusal } from '#kernel';
import type { Page, ProjectionStatus } from '#read-models';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { noSuchThing } from '../access/authorize.ts';
import { ForAdministrators, ForKeys, Key } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { problemOf } from '../http/problem.ts';
import { PROJECTIONS, type Projections, ServerFacts } from '../parts.ts';
import { ReadinessCheck } from './readiness.ts';

@Controller('api')
export class StatusController {
  constructor(
    private readonly facts: ServerFacts,
    private readonly readiness: ReadinessCheck,
    @Inject(PROJECTIONS) private readonly projections: Projections,
  ) {}

  @Get('status')
  @ForKeys()
  @Describe({ tag: 'Operations', operationId: 'status', summary: 'How the server is doing', answer: StatusDto })
  async status(@Key() key: AuthenticatedKey): Promise<StatusDto> {
    const { ready, head } = await this.readiness.look();
    const { version, startedAtMs, roles } = this.facts;
    return {
      status: ready ? 'READY' : 'NOT_READY',
      version,
      startedAt: formatInstant(startedAtMs),
      roles,
      position: head,
      // Of all sites: what happens in those that a key has no scope for is not told to it.
      openDeliveries: key.isAdmin ? await this.facts.openDeliveries() : null,
      projections: this.projections.status().map(withoutPoison),
    };
  }

  @Get('projections')
  @ForAdministrators()
  @Describe({ tag: 'Operations', operationId: 'listProjections', summary: 'How far each read model is, and which one stopped at which event', answer: { schema: pageSchema(ProjectionDto) } })
  list(): Page<ProjectionDto> {
    return { items: this.projections.status(), nextCursor: null };
  }

  @Post('projections/:name/rebuild')
  @HttpCode(200)
  @ForAdministrators()
  @Describe({ tag: 'Operations', operationId: 'rebuildProjection', summary: 'Make a read model anew from the log', answer: ProjectionDto, problems: ['not-found', 'concurrent-modification'] })
  rebuild(@Param('name') name: string): ProjectionDto {
    const begun = this.projections.rebuild(name);
    if (isRefusal(begun)) throw problemOf(begun);
    const status = this.projections.status().find((projection) => projection.name === name);
    if (status === undefined) throw noSuchThing();
    return status;
  }
}

/** Every key may see the status; what stands in the event that stopped a projection is for administrators. */
const withoutPoison = (status: ProjectionStatus): ProjectionDto => ({ ...status, poison: null });
