import { comparePositions, type Position, type Projection, type RecordedEvent } from '#kernel';

interface Folder {
  readonly projection: Projection;
  readonly position: Position;
}

interface Route<To extends Folder> {
  readonly to: To;
  /** How many events of the batch it has folded before. */
  readonly seen: number;
}

/** Which projections see which events of a batch: asked once per category, not once per event and projection. */
export class Routes<To extends Folder> {
  readonly #all: readonly Route<To>[];
  readonly #byCategory = new Map<string, readonly Route<To>[]>();

  constructor(folders: readonly To[], events: readonly RecordedEvent[]) {
    this.#all = folders.map((to) => ({ to, seen: countUpTo(events, to.position) }));
  }

  of({ stream }: RecordedEvent): readonly Route<To>[] {
    const category = stream.slice(0, stream.indexOf('-') + 1);
    const known = this.#byCategory.get(category);
    if (known !== undefined) return known;
    const routes = this.#all.filter(({ to }) => to.projection.prefixes.includes(category));
    this.#byCategory.set(category, routes);
    return routes;
  }
}

/** How many of the events, which are in log order, stand at or before a position. */
function countUpTo(events: readonly RecordedEvent[], position: Position): number {
  const next = events.findIndex((event) => comparePositions(event.position, position) > 0);
  return next === -1 ? events.length : next;
}
