import { Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { pageSchema, type ProcessDto, ProjectionDto, StatusDto, type UnownedDto } from '#contracts';
import type { HeardReport } from '#coordination/processes';
import { isRefusal } from '#kernel';
import type { Page, ProjectionStatus } from '#read-models';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { noSuchThing } from '../access/authorize.ts';
import { ForAdministrators, ForKeys, Key } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { problemOf } from '../http/problem.ts';
import { PROJECTIONS, type Projections, ServerFacts, type Sharing } from '../parts.ts';
import { ownReport } from './own-report.ts';
import { ReadinessCheck } from './readiness.ts';

const statusText = `How the process that answers is doing and, to keys with the scope \`admin\`, which processes there are: who has which roles, runs which sagas and sends to which
partitions of the subscriptions, and how far behind the log each is. Processes that share the work through Redis say so every 3 s, and are listed for 15 s after they
last did. \`/health/ready\` says whether this one is ready, without a key.`;

@Controller('api')
export class StatusController {
  constructor(
    private readonly facts: ServerFacts,
    private readonly readiness: ReadinessCheck,
    @Inject(PROJECTIONS) private readonly projections: Projections,
  ) {}

  @Get('status')
  @ForKeys()
  @Describe({ tag: 'Operations', operationId: 'status', summary: 'How the server is doing', description: statusText, answer: StatusDto })
  async status(@Key() key: AuthenticatedKey): Promise<StatusDto> {
    const readiness = await this.readiness.look();
    const { version, roles, sharing } = this.facts;
    const own = processDto({ ...ownReport(this.facts, readiness, this.projections), ageMs: 0 });
    const { status, because, startedAt } = own;
    const processes = [own, ...sharing.others().map(processDto)];
    const unheard = sharing.unheard();
    return {
      status,
      because,
      version,
      startedAt,
      roles,
      position: readiness.head,
      scheduledUpTo: processes.flatMap(({ sagas }) => sagas).find(({ name }) => name === 'fan-out')?.position ?? null,
      // Of all sites, and of the installation: what a key has no scope for is not told to it.
      openDeliveries: key.isAdmin ? await this.facts.openDeliveries() : null,
      coordination: key.isAdmin ? { by: sharing.by, unheard } : null,
      processes: key.isAdmin ? processes : null,
      unowned: key.isAdmin && unheard === null ? unownedOf(sharing, processes) : null,
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

const processDto = ({ id, process, version, startedAt, ageMs, ready, because, position, behindMs, roles, sagas, partitions }: HeardReport): ProcessDto => ({
  id,
  process,
  version,
  startedAt,
  ageMs,
  status: ready ? 'READY' : 'NOT_READY',
  because,
  position,
  behindMs,
  roles: roles.map(({ role, state, why }) => ({ role, state, why })),
  sagas: sagas.map((saga) => ({ name: saga.name, position: saga.position, behindMs: saga.behindMs })),
  partitions,
});

function unownedOf({ all }: Sharing, processes: readonly ProcessDto[]): UnownedDto {
  const sagas = new Set(processes.flatMap((process) => process.sagas.map(({ name }) => name)));
  const partitions = new Set(processes.flatMap((process) => process.partitions));
  return { sagas: all.sagas.filter((name) => !sagas.has(name)), partitions: all.partitions.filter((partition) => !partitions.has(partition)) };
}

/** Every key may see the status; what stands in the event that stopped a projection is for administrators. */
const withoutPoison = (status: ProjectionStatus): ProjectionDto => ({ ...status, poison: null });
