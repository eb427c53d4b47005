// violates: no-undeclared-packages
import { satisfies } from 'semver';

export const fits: unknown = satisfies;
