import type { JsonObject, Principal } from '#kernel';

// Payloads were validated against their DTO before a command is made: a member that is not as it should be is a
// programmer's error here, and a member that is left out reads as its default.

export function text(payload: JsonObject, member: string): string {
  const value = payload[member];
  if (typeof value !== 'string') throw new TypeError(`payload.${member} is not a string`);
  return value;
}

export const textOr = <Default>(payload: JsonObject, member: string, other: Default): string | Default => {
  const value = payload[member];
  return typeof value === 'string' ? value : other;
};

export const flag = (payload: JsonObject, member: string): boolean => payload[member] === true;

export function numberOr<Default>(payload: JsonObject, member: string, other: Default): number | Default {
  const value = payload[member];
  return typeof value === 'number' ? value : other;
}

/** An RFC 3339 time as milliseconds since 1970 UTC, or null when it is left out. */
export function instantOrNull(payload: JsonObject, member: string): number | null {
  const value = payload[member];
  return typeof value === 'string' ? Date.parse(value) : null;
}

/** `{type, id}`, or undefined when it is left out. */
export function principalOr(payload: JsonObject, member: string): Principal | undefined {
  const value = payload[member];
  return typeof value === 'object' && value !== null ? (value as unknown as Principal) : undefined;
}

export const textList = (payload: JsonObject, member: string): readonly string[] => {
  const value = payload[member];
  return Array.isArray(value) ? (value as string[]) : [];
};

/** Texts by name; none when they are left out. */
export const textsOf = (payload: JsonObject, member: string): Readonly<Record<string, string>> => {
  const value = payload[member];
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, string>>) : {};
};
