import type { Other } from './type-cycle-other.ts';

export interface One {
  readonly other: Other;
}
