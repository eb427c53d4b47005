// violates: no-unresolved, no-undeclared-packages
import { nothing } from './nowhere.ts';

export const something: unknown = nothing;
