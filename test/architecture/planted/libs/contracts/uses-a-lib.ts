// violates: contracts-know-no-lib
import { count } from '#telemetry';

export const counted = count;
