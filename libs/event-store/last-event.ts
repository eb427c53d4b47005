import type { RecordedEvent } from '#kernel';

/** The last event of a stream, found by doubling and halving: some forty small reads, however long it is. Undefined when it has none. */
export async function lastEvent(read: (from: number, limit: number) => Promise<readonly RecordedEvent[]>): Promise<RecordedEvent | undefined> {
  let [found] = await read(0, 1);
  let beyond = 1;
  for (let [event] = await read(beyond, 1); event !== undefined; [event] = await read(beyond, 1)) {
    found = event;
    beyond *= 2;
  }
  while (found !== undefined && beyond - found.revision > 1) {
    const middle: number = (found.revision + beyond) >> 1;
    const [event] = await read(middle, 1);
    if (event === undefined) beyond = middle;
    else found = event;
  }
  return found;
}
