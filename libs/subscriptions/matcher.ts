import { comparePositions, type Position } from '#kernel';

/** One stretch of the log in which a subscription's pattern and status were the same. */
export interface MatchableVersion {
  readonly subscriptionId: string;
  readonly eventPattern: string;
  readonly status: 'ACTIVE' | 'PAUSED' | 'DELETED';
  /** In force after this position … */
  readonly fromPosition: Position;
  /** … up to and including this one; null: to this day. */
  readonly toPosition: Position | null;
}

/** What is matched: an event's type, at its place in the log. */
export interface Matchable {
  readonly type: string;
  readonly position: Position;
  /** Published by Countersign itself: reaches only globs whose first segment is literal. */
  readonly operational: boolean;
}

/** The versions of one site, ready to be asked. */
export interface Matcher<Version extends MatchableVersion> {
  /** The versions that are ACTIVE at the event's position and have a glob that matches; one per subscription. */
  match(event: Matchable): readonly Version[];
  add(version: Version): void;
  /** Takes away one that was added, the same object; it costs as much as there are versions of the very same glob. */
  remove(version: Version): void;
}

/** One step of the globs that begin alike. `**` nodes stay where they are for any number of segments. */
class Node<Version> {
  readonly literals = new Map<string, Node<Version>>();
  one: Node<Version> | undefined;
  any: Node<Version> | undefined;
  readonly ends: Version[] = [];
  readonly stays: boolean;

  constructor(stays = false) {
    this.stays = stays;
  }

  child(segment: string): Node<Version> {
    if (segment === '*') return (this.one ??= new Node());
    if (segment === '**') return (this.any ??= new Node(true));
    let literal = this.literals.get(segment);
    if (literal === undefined) this.literals.set(segment, (literal = new Node()));
    return literal;
  }

  /** Takes back that a glob, of which these segments are left, ends below; and nodes that stand for nothing then. */
  remove(segments: readonly string[], version: Version, at = 0): void {
    const segment = segments[at];
    if (segment === undefined) return this.#removeEnd(version);
    const child = this.child(segment);
    child.remove(segments, version, at + 1);
    if (child.isEmpty) this.#drop(segment);
  }

  #removeEnd(version: Version): void {
    const place = this.ends.indexOf(version);
    const last = this.ends.at(-1);
    if (place < 0 || last === undefined) return;
    this.ends[place] = last;
    this.ends.pop();
  }

  get isEmpty(): boolean {
    return this.ends.length === 0 && this.literals.size === 0 && this.one === undefined && this.any === undefined;
  }

  #drop(segment: string): void {
    if (segment === '*') this.one = undefined;
    else if (segment === '**') this.any = undefined;
    else this.literals.delete(segment);
  }
}

/**
 * Compiles the versions of one site into a tree of segments. The cost of an event grows with the globs that match it so
 * far, segment by segment, not with the number of subscriptions that do not match, and not with how `**` is repeated.
 * Versions that are not ACTIVE are left out; patterns must be well-formed (`parsePattern`).
 */
export function compileMatcher<Version extends MatchableVersion>(versions: Iterable<Version>): Matcher<Version> {
  const root = new Node<Version>();
  const globsOf = ({ status, eventPattern }: Version): readonly string[] => (status === 'ACTIVE' ? eventPattern.split(',') : []);
  const add = (version: Version): void => {
    for (const glob of globsOf(version)) {
      let node = root;
      for (const segment of glob.split('.')) node = node.child(segment);
      node.ends.push(version);
    }
  };
  for (const version of versions) add(version);
  return {
    add,
    remove: (version) => globsOf(version).forEach((glob) => root.remove(glob.split('.'), version)),
    match: ({ type, position, operational }) => {
      const found = new Map<string, Version>();
      for (const node of walk(root, type.split('.'), operational)) {
        for (const version of node.ends) if (isInForce(version, position)) found.set(version.subscriptionId, version);
      }
      return [...found.values()];
    },
  };
}

/** Whether the version holds for an event at the position. */
export const isInForce = ({ fromPosition, toPosition }: Pick<MatchableVersion, 'fromPosition' | 'toPosition'>, position: Position): boolean =>
  comparePositions(fromPosition, position) < 0 && (toPosition === null || comparePositions(position, toPosition) <= 0);

/** The nodes at which globs that match the segments end. A set, so that a node reached in two ways is walked once. */
function walk<Version>(root: Node<Version>, segments: readonly string[], literalFirst: boolean): ReadonlySet<Node<Version>> {
  let reached = literalFirst ? new Set([root]) : withEmptyStars([root]);
  segments.forEach((segment, index) => {
    const next: Node<Version>[] = [];
    for (const node of reached) {
      const literal = node.literals.get(segment);
      if (literal !== undefined) next.push(literal);
      if (node.one !== undefined && !(literalFirst && index === 0)) next.push(node.one);
      if (node.stays) next.push(node);
    }
    reached = withEmptyStars(next);
  });
  return reached;
}

/** The nodes, and those that lie behind a `**` which stands for no segment at all. */
function withEmptyStars<Version>(nodes: readonly Node<Version>[]): Set<Node<Version>> {
  const all = new Set(nodes);
  for (const node of all) if (node.any !== undefined) all.add(node.any);
  return all;
}
