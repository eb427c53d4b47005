import type { Figure, Times } from './figure.ts';
import type { Generator } from './generator.ts';
import type { Receiver } from './receiver.ts';

/** What scenarios share: where they may write, whether little is to be done, and who publishes and receives. */
export interface Run {
  readonly folder: string;
  readonly isShort: boolean;
  /** Where servers leave CPU profiles; null: they make none. */
  readonly profileDir: string | null;
  readonly generator: Generator;
  readonly receiver: Receiver;
}

export interface Scenario {
  /** What `--only` takes. */
  readonly name: string;
  /** What is measured, in one line. */
  readonly about: string;
  figures(run: Run): Promise<readonly Figure[]>;
}

/** Five times after one that is not counted; once in a short run. */
export const timesOf = ({ isShort }: Pick<Run, 'isShort'>, counted = 5): Times => (isShort ? { warm: 0, counted: 1 } : { warm: 1, counted });
