// The ceiling of commands: Nest and Fastify with the requests' own validation, and nothing behind it.
import 'reflect-metadata';
import { BadRequestException, Body, Controller, HttpCode, Module, Param, type PipeTransform, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { CommandBody, PublishEventPayload, type ReadResult, readDto, SubscriptionPayload } from '#contracts';

function valid<T>(read: ReadResult<T>): T {
  if ('errors' in read) throw new BadRequestException(read.errors);
  return read.value;
}

class ValidCommand implements PipeTransform<unknown, CommandBody> {
  transform(json: unknown): CommandBody {
    const body = valid(readDto(CommandBody, json));
    valid(readDto(SubscriptionPayload, body.payload));
    return body;
  }
}

class ValidEvents implements PipeTransform<unknown, readonly PublishEventPayload[]> {
  transform = (json: unknown): readonly PublishEventPayload[] => (Array.isArray(json) ? json : [json]).map((item) => valid(readDto(PublishEventPayload, item)));
}

@Controller()
class Bare {
  @Post('/api/commands/:commandType')
  @HttpCode(200)
  command(@Param('commandType') commandType: string, @Body(new ValidCommand()) body: CommandBody): object {
    return { commandType, tenant: body.tenant, outcome: 'APPLIED' };
  }

  @Post('/api/events')
  @HttpCode(200)
  publish(@Body(new ValidEvents()) events: readonly PublishEventPayload[]): object {
    return { items: events.map(({ eventId }) => ({ eventId, status: 'ACCEPTED' })) };
  }
}

@Module({ controllers: [Bare] })
class BareModule {}

const app = await NestFactory.create<NestFastifyApplication>(BareModule, new FastifyAdapter(), { logger: false });
await app.listen(0, '127.0.0.1');
process.send?.({ url: await app.getUrl() });
process.on('disconnect', () => process.exit(0));
