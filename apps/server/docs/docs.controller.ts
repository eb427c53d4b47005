import { Controller, Get, Param, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { noSuchThing } from '../access/authorize.ts';
import { Open } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { contentSecurityPolicy, page, partNamed } from './page.ts';

/** The reference of the HTTP API for people: a page that reads `/openapi.yaml`, and loads nothing from anywhere else. */
@Controller('docs')
export class DocsController {
  @Get()
  @Open()
  @Describe({ tag: 'Operations', operationId: 'docs', summary: 'This document as a page', answer: { mediaType: 'text/html' } })
  async page(@Res() reply: FastifyReply): Promise<void> {
    await reply.headers({ 'content-security-policy': contentSecurityPolicy, 'referrer-policy': 'no-referrer' }).type('text/html; charset=utf-8').send(page);
  }

  @Get(':file')
  @Open()
  @Describe({ tag: 'Operations', operationId: 'docsPart', summary: 'A part of the page', answer: { mediaType: ['text/css', 'text/javascript', 'image/png'] }, problems: ['not-found'] })
  async part(@Param('file') file: string, @Res() reply: FastifyReply): Promise<void> {
    const part = await partNamed(file);
    if (part === undefined) throw noSuchThing();
    await reply.headers({ 'content-security-policy': contentSecurityPolicy, 'cache-control': 'public, max-age=3600' }).type(part.mediaType).send(part.content);
  }
}
