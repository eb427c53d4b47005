// violates: no-cycles
import type { One } from './type-cycle.ts';

export interface Other {
  readonly one: One;
}
