// violates: no-dev-packages-in-production
import { assert } from 'fast-check';

export const check = assert;
