// violates: kernel-imports-nothing
import { readFileSync } from 'node:fs';

export const readNow = (): string => readFileSync('/dev/null', 'utf8');
