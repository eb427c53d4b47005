import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { type Dto, type FieldError, type JsonOutline, limits, MalformedJson, outlineJson, readDto, repeatedMembers, type Slice } from '#contracts';
import { Problem } from './problem.ts';

/** The body of the request as text. */
export const BodyText = createParamDecorator((_data: unknown, context: ExecutionContext): string => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  if (typeof body !== 'string') throw invalidBody([{ path: '', message: 'a JSON body is required' }]);
  return body;
});

/** The body of the request as text, `{}` when it has none. */
export const OptionalBodyText = createParamDecorator((_data: unknown, context: ExecutionContext): string => {
  const { body } = context.switchToHttp().getRequest<FastifyRequest>();
  return typeof body === 'string' && body !== '' ? body : '{}';
});

/** Reads a JSON body as an instance of a class, or ends the request with everything that is wrong with it. */
export function readBody<T extends object>(dto: Dto<T>, text: string): T {
  outline(text);
  const read = readDto(dto, JSON.parse(text) as unknown);
  const errors = [...repeatedMembers(text).map(isThereTwice), ...('errors' in read ? read.errors : [])];
  if (errors.length > 0 || 'errors' in read) throw invalidBody(errors);
  return read.value;
}

export const invalidBody = (errors: readonly FieldError[]): Problem => {
  const [first] = errors;
  const said = `${first?.path ?? ''} ${first?.message ?? 'the request is not valid'}`.trim();
  const sentence = errors.length > 1 ? `${said.replace(/\.$/, '')} (and ${errors.length - 1} more)` : said;
  return new Problem('validation-failed', /[.?]$/.test(sentence) ? sentence : `${sentence}.`, { errors: errors.slice(0, limits.toldErrors) });
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

export const isThereTwice = (path: string): FieldError => ({ path, message: 'is there twice' });

/** Members that stand twice in an object: what they mean would depend on who reads them. */
export function repeated({ members }: JsonOutline): FieldError[] {
  const seen = new Set<string>();
  return members.flatMap(({ name }) => {
    const again = seen.has(name);
    seen.add(name);
    return again ? [isThereTwice(name)] : [];
  });
}

export const textOf = (text: string, { start, end }: Slice): string => text.slice(start, end);

/** The JSON text of an object with one more member, whose value is JSON text and stays as it is. */
export const withRawMember = (object: object, name: string, rawJson: string): string => {
  const text = JSON.stringify(object);
  return `${text.slice(0, -1)}${text === '{}' ? '' : ','}${JSON.stringify(name)}:${rawJson}}`;
};
