// violates: domain-reaches-no-io
import { readNow } from '#kernel';

export const decide = (): string => readNow();
