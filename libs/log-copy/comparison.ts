import { createHash } from 'node:crypto';
import type { RecordedEvent } from '#kernel';
import type { Positions } from './positions.ts';
import { formOf, type LogReader } from './reading.ts';

export interface CategoryCount {
  readonly category: string;
  readonly source: number;
  readonly target: number;
}

type Side = 'source' | 'target';

/**
 * Holds two logs against each other from their start, reading both anew: SHA-256 over what every event says, in their order
 * (`formOf`, a line each), and a count of each category.
 */
export class Comparison {
  readonly #positions: Readonly<Record<Side, Positions>>;
  readonly #hashes = { source: createHash('sha256'), target: createHash('sha256') };
  readonly #counts = { source: new Map<string, number>(), target: new Map<string, number>() };
  #met = 0;
  /** The first event that differs, in words. */
  difference: string | null = null;

  constructor(positions: Readonly<Record<Side, Positions>>) {
    this.#positions = positions;
  }

  /** The next event of the source, and of the target where there is one. */
  take(event: RecordedEvent | undefined, found: RecordedEvent | undefined): void {
    this.#met += 1;
    const same = (event && this.#add('source', event)) === (found && this.#add('target', found));
    if (same && !this.#hasMoved(found)) return;
    this.difference ??= `event ${this.#met}: the log has ${nameOf(event)}, the target has ${nameOf(found)}${same ? ' at another position than when it was written' : ''}`;
  }

  #hasMoved(found: RecordedEvent | undefined): boolean {
    const { target } = this.#positions;
    return found !== undefined && this.#met <= target.count && target.at(this.#met) !== found.position;
  }

  /** Everything that the target holds behind it is a difference. */
  async rest(there: LogReader): Promise<void> {
    for (let found = await there.next(); found !== undefined; found = await there.next()) this.take(undefined, found);
  }

  #add(side: Side, event: RecordedEvent): string {
    const form = formOf(event, this.#positions[side]);
    this.#hashes[side].update(`${form}\n`);
    const category = event.stream.slice(0, event.stream.indexOf('-'));
    this.#counts[side].set(category, (this.#counts[side].get(category) ?? 0) + 1);
    return form;
  }

  /** Ends it: the digests of both as lower-case hex. */
  digests(): Readonly<Record<Side, string>> {
    return { source: this.#hashes.source.digest('hex'), target: this.#hashes.target.digest('hex') };
  }

  get categories(): readonly CategoryCount[] {
    const { source, target } = this.#counts;
    return [...new Set([...source.keys(), ...target.keys()])].sort().map((category) => ({ category, source: source.get(category) ?? 0, target: target.get(category) ?? 0 }));
  }
}

const nameOf = (event: RecordedEvent | undefined): string => (event === undefined ? 'nothing' : `${event.type}, revision ${event.revision} of ${event.stream} (${event.id})`);
