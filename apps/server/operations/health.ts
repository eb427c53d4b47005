import { Controller, Get, Inject, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { HealthDto } from '#contracts';
import type { Metrics } from '#telemetry';
import { Open } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { Problem } from '../http/problem.ts';
import { METRICS } from '../parts.ts';
import { ReadinessCheck } from './readiness.ts';

@Controller()
export class HealthController {
  constructor(
    private readonly readiness: ReadinessCheck,
    @Inject(METRICS) private readonly metrics: Metrics,
  ) {}

  @Get('health/live')
  @Open()
  @Describe({ tag: 'Operations', operationId: 'live', summary: 'The process runs', answer: HealthDto })
  live(): HealthDto {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @Open()
  @Describe({ tag: 'Operations', operationId: 'ready', summary: 'The process can do its work: the store answers and the read models are close to the head', answer: HealthDto, problems: ['store-unavailable', 'projection-behind'] })
  async ready(): Promise<HealthDto> {
    const { ready, because, head } = await this.readiness.look();
    if (!ready) throw new Problem(head === null ? 'store-unavailable' : 'projection-behind', `Not ready: ${because.join('; ')}.`, { because });
    return { status: 'ok' };
  }

  @Get('metrics')
  @Open()
  @Describe({ tag: 'Operations', operationId: 'metrics', summary: 'Metrics in the text form of Prometheus, without tenant labels', answer: { mediaType: 'text/plain' } })
  async scrape(@Res() reply: FastifyReply): Promise<void> {
    const { text, contentType } = await this.metrics.scrape();
    await reply.type(contentType).send(text);
  }
}
