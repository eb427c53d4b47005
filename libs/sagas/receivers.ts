import { comparePositions, type Position, type RecordedEvent } from '#kernel';
import type { SubscriptionVersion } from '#read-models';
import { compileMatcher, type Matchable, versionAfter, type VersionSettings } from '#subscriptions';

type Version = SubscriptionVersion;

/**
 * Who gets the events of one site: the versions of its subscriptions, as far as they are taken here, learnt once from the read model and
 * then folded from the log.
 */
export class Receivers {
  /** Subscriptions of which the log did not say what they are now: they must be learnt before the next event is matched. */
  readonly unclear = new Set<string>();
  readonly #takes: (version: Version) => boolean;
  readonly #matcher = compileMatcher<Version>([]);
  readonly #last = new Map<string, Version>();
  /** Those that end within the log so far. */
  #ended: Version[] = [];
  #filters = 0;

  constructor(takes: (version: Version) => boolean) {
    this.#takes = takes;
  }

  /** Whether one of them has a filter. */
  get filtered(): boolean {
    return this.#filters > 0;
  }

  match(event: Matchable): readonly Version[] {
    return this.#matcher.match(event);
  }

  /** The read model's versions that are in force anywhere behind the last stretch, of these subscriptions, or of all when nothing is known yet. `through`: up to where they are whole. */
  learn(versions: readonly Version[], through: Position, of: readonly string[] = []): void {
    const anew = new Set(of);
    const known = [...this.#ended.filter(({ subscriptionId }) => anew.has(subscriptionId)), ...of.flatMap((id) => this.#last.get(id) ?? [])];
    for (const version of new Set(known)) this.#drop(version);
    this.#ended = this.#ended.filter(({ subscriptionId }) => !anew.has(subscriptionId));
    for (const version of versions) if (this.#takes(version)) this.#keep(version, through);
    this.unclear.clear();
  }

  /** An event of a subscription's stream, in the order of the log; the same once more changes nothing. `after`: where its stretch begins. */
  fold(event: RecordedEvent, of: Pick<Version, 'site' | 'subscriptionId'>, after: Position): void {
    this.#forget(after);
    const last = this.#last.get(of.subscriptionId);
    if (last !== undefined && isKnown(last, event.position)) return;
    const before = last !== undefined && holdsUntil(last, event.position) ? last : undefined;
    const next = settingsAfter(before, event);
    if (next === 'untold') this.unclear.add(of.subscriptionId);
    else if (next !== before) this.#follow(before, event.position, next && { ...of, ...next, fromPosition: event.position, toPosition: null });
  }

  #follow(before: Version | undefined, position: Position, next: Version | undefined): void {
    if (before !== undefined) {
      // A stretch may come again, with what it ended before.
      this.#ended = this.#ended.filter((version) => version !== before);
      this.#drop(before);
      this.#keep({ ...before, toPosition: position }, position);
    }
    if (next !== undefined && this.#takes(next)) this.#keep(next, position);
  }

  /** Drops what ended at or before a position. */
  #forget(after: Position): void {
    const [first] = this.#ended;
    if (first === undefined || comparePositions(first.toPosition ?? after, after) > 0) return;
    this.#ended = this.#ended.filter((version) => {
      const isOver = comparePositions(version.toPosition ?? after, after) <= 0;
      if (isOver) this.#drop(version);
      return !isOver;
    });
  }

  #keep(version: Version, through: Position): void {
    const { subscriptionId, fromPosition, toPosition, filter } = version;
    this.#matcher.add(version);
    if (filter !== null) this.#filters += 1;
    if (toPosition !== null && comparePositions(toPosition, through) <= 0) this.#ended.push(version);
    const last = this.#last.get(subscriptionId);
    if (last === undefined || comparePositions(last.fromPosition, fromPosition) <= 0) this.#last.set(subscriptionId, version);
  }

  #drop(version: Version): void {
    this.#matcher.remove(version);
    if (version.filter !== null) this.#filters -= 1;
    if (this.#last.get(version.subscriptionId) === version) this.#last.delete(version.subscriptionId);
  }
}

/** Whether what happened at a position is in the version already, or came before it. */
const isKnown = ({ fromPosition, toPosition }: Version, position: Position): boolean =>
  comparePositions(position, fromPosition) <= 0 || (toPosition !== null && comparePositions(position, toPosition) < 0);

/** One that has ended before has a successor that is not taken here, or none. */
const holdsUntil = ({ toPosition }: Version, position: Position): boolean => toPosition === null || toPosition === position;

/** What can't be read is for the read model to judge: it stops there, and whoever waits for it with it. */
function settingsAfter(before: Version | undefined, event: RecordedEvent): VersionSettings | undefined | 'untold' {
  try {
    return versionAfter(before, event);
  } catch {
    return 'untold';
  }
}
