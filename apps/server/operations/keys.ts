import { Controller, Get, Inject, UseInterceptors } from '@nestjs/common';
import { type IQueryHandler, Query, QueryBus, QueryHandler } from '@nestjs/cqrs';
import { KeyDto, pageSchema, WhoAmIDto } from '#contracts';
import { onlySite } from '#access';
import { type Clock, formatInstant, formatSite, type Refusal } from '#kernel';
import type { ApiKeyItem, Page } from '#read-models';
import type { AuthenticatedKey } from '../access/authenticated-key.ts';
import { ForAdministrators, ForKeys, Key } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { answerPage, PageOfRequest, type PageRequest, WaitForPosition } from '../http/lists.ts';
import { Takes } from '../http/parameters.ts';
import { CLOCK, READS, type Reads } from '../parts.ts';

/** API keys of all sites, latest first; never their text. */
export class ListKeys extends Query<Page<ApiKeyItem> | Refusal> {
  constructor(readonly page: PageRequest) {
    super();
  }
}

@QueryHandler(ListKeys)
export class ListKeysHandler implements IQueryHandler<ListKeys> {
  constructor(@Inject(READS) private readonly reads: Reads) {}

  execute({ page }: ListKeys): Promise<Page<ApiKeyItem> | Refusal> {
    return this.reads.listApiKeys(page);
  }
}

@Controller('api')
export class KeysController {
  constructor(
    private readonly queryBus: QueryBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  @Get('keys')
  @ForAdministrators()
  @Takes('limit', 'cursor', 'waitFor')
  @UseInterceptors(WaitForPosition)
  @Describe({ tag: 'Keys', operationId: 'listKeys', summary: 'The API keys of all sites; never their text', answer: { schema: pageSchema(KeyDto) } })
  async list(@PageOfRequest() page: PageRequest): Promise<Page<KeyDto>> {
    const nowMs = this.clock.now();
    return answerPage(await this.queryBus.execute(new ListKeys(page)), (record) => keyAnswer(record, nowMs));
  }

  @Get('whoami')
  @ForKeys()
  @Describe({ tag: 'Keys', operationId: 'whoAmI', summary: 'Whom the API key speaks for, and what it may do', answer: WhoAmIDto })
  whoAmI(@Key() key: AuthenticatedKey): WhoAmIDto {
    const site = onlySite(key.scopes);
    return {
      keyId: key.keyId,
      name: key.name,
      actor: key.boundTo,
      anyActor: key.boundTo === null,
      defaultActor: key.defaultActor,
      owner: key.owner,
      scopes: key.scopeTexts,
      siteId: site === undefined ? null : formatSite(site),
      expiresOn: instantOrNull(key.expiresOnMs),
    };
  }
}

const instantOrNull = (instantMs: number | null): string | null => (instantMs === null ? null : formatInstant(instantMs));

export function keyAnswer(record: Omit<ApiKeyItem, 'keySha256' | 'createdBy' | 'revision'>, nowMs: number): KeyDto {
  const { id, site, name, scopes, actor, anyActor, defaultActor, owner, expiresOnMs, createdAtMs, revokedAtMs } = record;
  const expired = expiresOnMs !== null && nowMs >= expiresOnMs;
  const status = revokedAtMs !== null ? 'REVOKED' : expired ? 'EXPIRED' : 'ACTIVE';
  const times = { expiresOn: instantOrNull(expiresOnMs), createdAt: formatInstant(createdAtMs), revokedAt: instantOrNull(revokedAtMs) };
  return { id, siteId: formatSite(site), name, scopes, actor, anyActor, defaultActor, owner, status, ...times };
}
