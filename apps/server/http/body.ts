import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type FieldError, type JsonOutline, MalformedJson, outlineJson, type Slice } from '#contracts';
import { Problem } from './problem.ts';

/** The body of the request as text. */
export const BodyText = createParamDecorator((_data: unknown, context: ExecutionContext): string => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  if (typeof body !== 'string') throw invalidBody([{ path: '', message: 'a JSON body is required' }]);
  return body;
});

/** A body can be wrong in a million places. */
const toldErrors = 100;

export const invalidBody = (errors: readonly FieldError[]): Problem => {
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new Problem('validation-failed', `${`${first?.path ?? ''} ${first?.message ?? 'the request is not valid'}`.trim()}${more}.`, { errors: errors.slice(0, toldErrors) });
};

/** Where the parts of a JSON text stand. Ends the request with 400 and the place when it is not JSON. */
export function outline(text: string, within?: Slice): JsonOutline {
  try {
    return outlineJson(text, within);
  } catch (error) {
    if (error instanceof MalformedJson) throw invalidBody([{ path: '', message: `the body is not JSON: ${error.message}` }]);
    throw error;
  }
}

/** Members that stand twice in an object: what they mean would depend on who reads them. */
export function repeated({ members }: JsonOutline, at = ''): FieldError[] {
  const seen = new Set<string>();
  return members.flatMap(({ name }) => {
    const again = seen.has(name);
    seen.add(name);
    return again ? [{ path: at === '' ? name : `${at}.${name}`, message: 'is there twice' }] : [];
  });
}

export const textOf = (text: string, { start, end }: Slice): string => text.slice(start, end);

/** The JSON text of an object with one more member, whose value is JSON text and stays as it is. */
export const withRawMember = (object: object, name: string, rawJson: string): string => {
  const text = JSON.stringify(object);
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(name)}:${rawJson}}`;
};
