// violates: production-imports-no-tests
import { support } from '../../test/support/support.ts';

export const supported = support;
