import { type CallHandler, createParamDecorator, type ExecutionContext, Inject, Injectable, type NestInterceptor } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { from, type Observable, switchMap } from 'rxjs';
import { limits } from '#contracts';
import { comparePositions, isPosition, isRefusal, type Refusal } from '#kernel';
import type { Page } from '#read-models';
import { CurrentState, PROJECTIONS, type Projections } from '../parts.ts';
import { invalid, Problem, problemOf } from './problem.ts';

/** One page of a list: how many at most, and after what (opaque, from the page before). */
export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

const queryOf = (context: ExecutionContext): Readonly<Record<string, string | undefined>> =>
  context.switchToHttp().getRequest<FastifyRequest>().query as Readonly<Record<string, string | undefined>>;

/** `limit` and `cursor` of the query. */
export const PageOfRequest = createParamDecorator((_data: unknown, context: ExecutionContext): PageRequest => {
  const { limit, cursor } = queryOf(context);
  return { limit: limit === undefined ? limits.defaultPageSize : Number(limit), ...(cursor === undefined ? {} : { cursor }) };
});

/** A page as it is answered; a cursor that no answer gave ends the request. */
export function answerPage<T, Item>(page: Page<T> | Refusal, shape: (item: T) => Item): Page<Item> {
  if (isRefusal(page)) throw problemOf(page);
  return { items: page.items.map(shape), nextCursor: page.nextCursor };
}

/** On routes that read read models: waits until they have seen the position of `waitFor`. */
@Injectable()
export class WaitForPosition implements NestInterceptor {
  constructor(
    private readonly current: CurrentState,
    @Inject(PROJECTIONS) private readonly projections: Projections,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { waitFor } = queryOf(context);
    return waitFor === undefined ? next.handle() : from(this.passed(waitFor)).pipe(switchMap(() => next.handle()));
  }

  private async passed(waitFor: string): Promise<void> {
    if (!isPosition(waitFor)) throw invalid('waitFor', 'must be a position as an answer gave it: decimal digits');
    const head = await this.current.head();
    if (comparePositions(waitFor, head) > 0) throw new Problem('position-unknown', `The log ends at ${head}; position ${waitFor} is not in it.`, { head });
    const seen = await this.projections.waitFor(waitFor, limits.waitForMs);
    if (seen === 'behind') throw new Problem('projection-behind', `The read model has not seen position ${waitFor} within ${limits.waitForMs / 1_000} s. Try again.`);
  }
}
