export const actorTypes = ['USER', 'SYSTEM', 'CONNECTOR', 'AGENT', 'SERVICE'] as const;
export type ActorType = (typeof actorTypes)[number];

/** Somebody or something that acts. */
export interface Principal {
  readonly type: ActorType;
  readonly id: string;
}

/** Who acts, and for whom: `onBehalfOf` is the chain of those who asked, nearest first. */
export interface Actor extends Principal {
  readonly onBehalfOf?: readonly Principal[];
}

/** `TYPE:id`, the written form of a principal. */
export const formatPrincipal = (principal: Principal): string => `${principal.type}:${principal.id}`;

/** A principal of its written form, split at the first colon; undefined when malformed. The id is 1–128 visible ASCII without a comma. */
export function parsePrincipal(text: string): Principal | undefined {
  const colon = text.indexOf(':');
  const type = actorTypes.find((known) => known === text.slice(0, colon));
  const id = text.slice(colon + 1);
  return type !== undefined && isPrincipalId(id) ? { type, id } : undefined;
}

export const isPrincipalId = (id: string): boolean => /^[\x21-\x2b\x2d-\x7e]{1,128}$/.test(id);

/** Whether two names mean the same principal: type and id, letter case folded, so `Sam` cannot approve what `sam` asked. */
export const samePrincipal = (a: Principal, b: Principal): boolean =>
  a.type === b.type && a.id.toLowerCase() === b.id.toLowerCase();
