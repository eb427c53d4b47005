// violates: clients-know-the-contract-only
import { count } from '#telemetry';

export const counted = count;
