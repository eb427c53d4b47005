// violates: libs-through-their-entry
import { count } from '../telemetry/inside.ts';

export const counted = count;
