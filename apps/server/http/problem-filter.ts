import { type ArgumentsHost, Catch, type ExceptionFilter, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ANSWER_PROBLEM } from '../parts.ts';
import type { AnswerProblem } from './problem-answer.ts';

/** Catches everything that guards, controllers and handlers throw. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  constructor(@Inject(ANSWER_PROBLEM) private readonly answer: AnswerProblem) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.answer(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}
