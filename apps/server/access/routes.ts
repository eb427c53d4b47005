import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable, SetMetadata } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { Site } from '#kernel';
import type { AuthenticatedKey } from './authenticated-key.ts';
import { authorize, type Need, requireAdmin, requireWholeLog, siteOf } from './authorize.ts';

/** What a route demands of its caller. Every route says one; the guard lets nobody through to one that says none. */
export type Access =
  | { readonly to: 'everybody' }
  /** Any key; what it may do is checked where the request has been read. */
  | { readonly to: 'keys' }
  | { readonly to: 'administrators' }
  /** Administrators who may read what happened in every site. */
  | { readonly to: 'whole-log' }
  /** A key with one of these in the site of the query. */
  | { readonly to: 'site'; readonly needs: readonly Need[] };

const accessOf = 'countersign:access';
const declare = (access: Access): MethodDecorator & ClassDecorator => SetMetadata(accessOf, access);

/** No key is asked for. */
export const Open = (): MethodDecorator => (target, property, descriptor) => {
  RouteConfig({ open: true })(target, property, descriptor);
  declare({ to: 'everybody' })(target, property, descriptor);
};
export const ForKeys = (): MethodDecorator => declare({ to: 'keys' });
export const ForAdministrators = (): MethodDecorator => declare({ to: 'administrators' });
export const ForTheWholeLog = (): MethodDecorator => declare({ to: 'whole-log' });
export const ForSite = (...needs: readonly Need[]): MethodDecorator => declare({ to: 'site', needs });

export const readAccess = (reflector: Reflector, handler: () => unknown): Access | undefined => reflector.get<Access | undefined>(accessOf, handler);

type SiteRequest = FastifyRequest & { site?: Site };

/** Lets a request through to its route when its key may, and puts the site it is about beside it. */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const access = readAccess(this.reflector, context.getHandler() as () => unknown);
    const request = context.switchToHttp().getRequest<SiteRequest>();
    switch (access?.to) {
      case 'everybody':
        return true;
      case 'keys':
        return keyOf(request) !== null;
      case 'administrators':
        requireAdmin(keyOf(request));
        return true;
      case 'whole-log':
        requireWholeLog(keyOf(request));
        return true;
      case 'site':
        request.site = siteOf(keyOf(request), queryOf(request)['siteId']);
        authorize(keyOf(request), request.site, access.needs);
        return true;
      case undefined:
        throw new TypeError(`${context.getClass().name}.${context.getHandler().name} does not say who may use it`);
    }
  }
}

const queryOf = (request: FastifyRequest): Readonly<Record<string, unknown>> => request.query as Readonly<Record<string, unknown>>;

/** The key of a request that the guard has let through. */
export function keyOf(request: FastifyRequest): AuthenticatedKey {
  if (request.key === null) throw new TypeError(`${request.routeOptions.url ?? request.url} was reached without a key`);
  return request.key;
}

/** The key of the request. */
export const Key = createParamDecorator((_data: unknown, context: ExecutionContext) => keyOf(context.switchToHttp().getRequest<FastifyRequest>()));

/** The site of a request, on a route `ForSite`. */
export function siteOfRequest({ site }: SiteRequest): Site {
  if (site === undefined) throw new TypeError('only a route ForSite has a site');
  return site;
}

export const SiteOfRequest = createParamDecorator((_data: unknown, context: ExecutionContext) => siteOfRequest(context.switchToHttp().getRequest<SiteRequest>()));
