// violates: no-restricted-syntax, no-restricted-globals
export const decidedAt = (): number => Date.now();
export const decidedOn = (): Date => new Date();
export const chance = (): number => Math.random();
export const id = (): string => crypto.randomUUID();
