import { formatUuid, type Ids } from '#kernel';

/** Ids that repeat from run to run: a counter spread over the bytes. */
export function seededIds(seed = 1): Ids {
  let state = seed >>> 0;
  const byte = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  };
  const randomBytes = (length: number): Uint8Array => Uint8Array.from({ length }, byte);
  return { randomBytes, uuid: () => formatUuid(randomBytes(16)) };
}
