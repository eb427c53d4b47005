import { type DynamicModule, Module, type Provider, type Type } from '@nestjs/common';
import { APP_FILTER, APP_GUARD } from '@nestjs/core';
import { CqrsModule } from '@nestjs/cqrs';
import { AccessGuard } from './access/routes.ts';
import { AuditEventsController } from './audit/events.ts';
import { RefusalsController } from './audit/refusals.ts';
import { StatesController } from './audit/states.ts';
import { ExplanationsController } from './audit/explanations.ts';
import { ReplayController } from './audit/replay.ts';
import { StoriesController } from './audit/stories.ts';
import { ApprovalsController, GetApprovalHandler, ListApprovalsHandler } from './approvals/approvals.ts';
import { GetPoliciesHandler, PoliciesController } from './approvals/policies.ts';
import { commandHandlers } from './commands/commands.ts';
import { CommandsController } from './commands/commands.controller.ts';
import { DryRunHandler, DryRunPublishHandler } from './commands/dry-run.ts';
import { GetCommandController, GetCommandHandler } from './commands/get-command.ts';
import { RestCommands } from './commands/rest-commands.ts';
import { DeliveriesController, GetDeliveryHandler, ListDeliveriesHandler } from './deliveries/deliveries.ts';
import { GetDeliveryNowHandler, RetryDeliveryController } from './deliveries/retry-delivery.ts';
import { ListSiteDeliveriesHandler, SiteDeliveriesController } from './deliveries/site-deliveries.ts';
import { DocsController } from './docs/docs.controller.ts';
import { GetEventController, GetEventHandler } from './events/get-event.ts';
import { PublishController } from './events/publish.controller.ts';
import { EventStreamController } from './events/stream.controller.ts';
import { Arrivals } from './events/stream-arrivals.ts';
import { ParameterGuard } from './http/parameters.ts';
import { ProblemFilter } from './http/problem-filter.ts';
import { OpenApiController } from './openapi/openapi.controller.ts';
import { BackupsController } from './operations/backups.ts';
import { HealthController } from './operations/health.ts';
import { KeysController, ListKeysHandler } from './operations/keys.ts';
import { ReadinessCheck } from './operations/readiness.ts';
import { StatusController } from './operations/status.ts';
import { ProbeController } from './webhooks/probe.ts';
import { GetRecoveryHandler, ListRecoveriesHandler, RecoverController, RecoveriesController } from './webhooks/recoveries.ts';
import { GetSubscriptionHandler, GetSubscriptionHealthHandler, ListSubscriptionsHandler } from './webhooks/subscriptions.ts';
import { TestSubscriptionController } from './webhooks/test-subscription.ts';
import { WebhooksController } from './webhooks/webhooks.controller.ts';

const apiControllers: readonly Type[] = [
  CommandsController,
  GetCommandController,
  PublishController,
  EventStreamController,
  GetEventController,
  DeliveriesController,
  RetryDeliveryController,
  SiteDeliveriesController,
  ApprovalsController,
  PoliciesController,
  KeysController,
  StatusController,
  ProbeController,
  WebhooksController,
  RecoverController,
  RecoveriesController,
  TestSubscriptionController,
  AuditEventsController,
  RefusalsController,
  StatesController,
  ExplanationsController,
  ReplayController,
  StoriesController,
  BackupsController,
  OpenApiController,
  DocsController,
];

/** Every route there is. */
export const controllers: readonly Type[] = [...apiControllers, HealthController];

const handlers: readonly Provider[] = [
  ...commandHandlers,
  DryRunHandler,
  DryRunPublishHandler,
  GetCommandHandler,
  GetEventHandler,
  ListDeliveriesHandler,
  GetDeliveryHandler,
  GetDeliveryNowHandler,
  ListSiteDeliveriesHandler,
  ListSubscriptionsHandler,
  GetSubscriptionHealthHandler,
  GetSubscriptionHandler,
  ListApprovalsHandler,
  GetApprovalHandler,
  GetPoliciesHandler,
  ListKeysHandler,
  ListRecoveriesHandler,
  GetRecoveryHandler,
];

@Module({})
export class AppModule {
  /** The routes of the roles on the parts they need. A process without the role `api` still tells how it is. */
  static on(parts: readonly Provider[], roles: readonly string[]): DynamicModule {
    return {
      module: AppModule,
      imports: [CqrsModule.forRoot()],
      controllers: roles.includes('api') ? [...controllers] : [HealthController],
      providers: [
        ...parts,
        ...handlers,
        Arrivals,
        ReadinessCheck,
        RestCommands,
        { provide: APP_GUARD, useClass: AccessGuard },
        { provide: APP_GUARD, useClass: ParameterGuard },
        { provide: APP_FILTER, useClass: ProblemFilter },
      ],
    };
  }
}
