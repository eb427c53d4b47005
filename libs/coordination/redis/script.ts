import { readFileSync } from 'node:fs';

/** The text of a script beside this file; the build copies them (nest-cli.json). */
export const script = (name: 'lease-step' | 'in-flight-release' | 'process-exchange'): string => readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
