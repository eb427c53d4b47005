// violates: domain-imports-kernel-only
import { count } from '#telemetry';

export const counted = count;
