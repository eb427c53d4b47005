import type { Provider } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import type { Clock, Ids } from '#kernel';
import type { Log, Metrics } from '#telemetry';
import { Authenticator } from './access/authenticator.ts';
import type { RootKey } from './access/root-key.ts';
import { AppModule, controllers } from './app.module.ts';
import { AllowedMethods } from './http/allow.ts';
import { EventStreams } from './http/event-stream.ts';
import { createAdapter } from './http/fastify.ts';
import { oneFarReadAtATime } from './http/log-reader.ts';
import { createAnswerProblem } from './http/problem-answer.ts';
import { ANSWER_PROBLEM, Backups, CLOCK, Commands, CurrentState, IDS, LOG_READER, type LogReader, METRICS, OPENAPI, Probing, PROJECTIONS, type Projections, Publishing, READS, type Reads, Refusals, ServerFacts, STORY_READS, type StoryReads } from './parts.ts';

/** Everything the HTTP shell stands on. */
export interface ShellParts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly rootKey: RootKey;
  readonly commands: Commands;
  readonly publishing: Publishing;
  readonly probing: Probing;
  readonly projections: Projections;
  readonly reads: Reads;
  readonly storyReads: StoryReads;
  readonly logReader: LogReader;
  readonly refusals: Refusals;
  readonly backups: Backups;
  readonly current: CurrentState;
  readonly facts: ServerFacts;
}

/** The API as an application that is ready to listen. */
export async function createHttpApp(parts: ShellParts): Promise<NestFastifyApplication> {
  const { clock, ids, log, metrics } = parts;
  const allowed = new AllowedMethods();
  const answerProblem = createAnswerProblem(log, allowed, clock);
  const authenticator = new Authenticator(parts.reads, parts.projections, parts.rootKey, clock);
  const adapter = createAdapter({ clock, ids, log, metrics, authenticator, allowed, answerProblem, isStopping: () => parts.facts.stopping });
  const streams = new EventStreams({ authenticator, projections: parts.projections, clock, log });
  adapter.getInstance<FastifyInstance>().addHook('preClose', (done) => {
    streams.endAll();
    done();
  });
  // Made once, when it is first asked for: what makes it takes long to load.
  let document: Promise<string> | undefined;
  const openApi = (): Promise<string> => (document ??= describe());
  const describe = async (): Promise<string> => {
    const { openApiYaml } = await import('./openapi/document.ts');
    return openApiYaml(app, controllers, parts.facts.version);
  };
  const module = AppModule.on([...providers(parts), { provide: ANSWER_PROBLEM, useValue: answerProblem }, { provide: EventStreams, useValue: streams }, { provide: OPENAPI, useValue: openApi }], parts.facts.roles);
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, { logger: false, bodyParser: false, abortOnError: false });
  await app.init();
  return app;
}


const providers = (parts: ShellParts): Provider[] => [
  { provide: CLOCK, useValue: parts.clock },
  { provide: IDS, useValue: parts.ids },
  { provide: METRICS, useValue: parts.metrics },
  { provide: Commands, useValue: parts.commands },
  { provide: Publishing, useValue: parts.publishing },
  { provide: Probing, useValue: parts.probing },
  { provide: PROJECTIONS, useValue: parts.projections },
  { provide: READS, useValue: parts.reads },
  { provide: STORY_READS, useValue: parts.storyReads },
  { provide: LOG_READER, useValue: oneFarReadAtATime(parts.logReader) },
  { provide: Refusals, useValue: parts.refusals },
  { provide: Backups, useValue: parts.backups },
  { provide: CurrentState, useValue: parts.current },
  { provide: ServerFacts, useValue: parts.facts },
];
