import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Open } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { OPENAPI } from '../parts.ts';

@Controller()
export class OpenApiController {
  constructor(@Inject(OPENAPI) private readonly openApi: () => Promise<string>) {}

  @Get('openapi.yaml')
  @Open()
  @Describe({ tag: 'Operations', operationId: 'openApi', summary: 'This document', answer: { mediaType: 'application/yaml' } })
  async document(@Res() reply: FastifyReply): Promise<void> {
    await reply.type('application/yaml').send(await this.openApi());
  }
}
