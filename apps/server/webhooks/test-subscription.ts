import { Controller, HttpCode, Param, Post } from '@nestjs/common';
import { refTo, TestAnswerDto, TestPayload } from '#contracts';
import { isName } from '#kernel';
import { noSuchThing } from '../access/authorize.ts';
import { Change, type RestChange, restCreate, RestCommands } from '../commands/rest-commands.ts';
import { ForSite } from '../access/routes.ts';
import { OptionalBodyText, readBody } from '../http/body.ts';
import { Describe } from '../http/describe.ts';
import { Takes } from '../http/parameters.ts';

/** One synthetic event to a subscription, delivered like any other. */
@Controller('api/webhooks/:subscriptionId')
export class TestSubscriptionController {
  constructor(private readonly commands: RestCommands) {}

  @Post('test')
  @HttpCode(201)
  @ForSite('write')
  @Takes('siteId')
  @Describe({
    ...restCreate,
    tag: 'Webhooks',
    operationId: 'testWebhook',
    summary: 'Send one synthetic signed event to a webhook subscription',
    description:
      'To this subscription alone, whatever its pattern, under its delivery mode and signed with its secret. The delivery appears in the lists a moment later, with its transcripts; to a paused subscription it waits until that is resumed. The data is `{"test": true, "webhookSubscriptionId", "message"}`.',
    body: refTo(TestPayload),
    bodyOptional: true,
    status: 201,
    answer: TestAnswerDto,
    problems: [...restCreate.problems, 'not-found', 'subscription-deleted'],
  })
  async test(@Param('subscriptionId') webhookSubscriptionId: string, @Change() change: RestChange, @OptionalBodyText() text: string): Promise<TestAnswerDto> {
    const { event } = readBody(TestPayload, text);
    if (!isName(webhookSubscriptionId)) throw noSuchThing();
    const { result, commandId, outcome, revision, position } = await this.commands.send('TestWebhookSubscription', change, { payload: { webhookSubscriptionId, event } });
    const { deliveryId, eventId } = result as { readonly deliveryId: string; readonly eventId: string };
    return { deliveryId, eventId, commandId, outcome, revision, position };
  }
}
