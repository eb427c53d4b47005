import { comparePositions, type Position } from '#kernel';
import type { LogRecord } from './envelope.ts';

/** An event: which it is, and where it stands. Of the removal of a stream the id is `removal`. */
export type Mark = Pick<LogRecord, 'stream' | 'revision' | 'position' | 'id'>;

export const removal = 'removal';

export const markOf = ({ kind, stream, revision, position, id }: LogRecord): Mark => (kind === 'removal' ? { stream, revision: 0, position, id: removal } : { stream, revision, position, id });

type Find = (stream: string, revision: number) => Promise<Mark | undefined>;

const mostShown = 8;
/** More are not acknowledged in the time until a silent subscription begins again. */
const mostExpected = 16_384;

/**
 * What must be in the log, because this process knows of it: the last few events that the subscription has shown, and those
 * that were acknowledged or read elsewhere and that it has yet to show. While the last one shown stands where it stood, no one before
 * it was lost. Of a stream that was removed since, no event says anything.
 */
export class Trail {
  /** The latest first. */
  #shown: readonly Mark[];
  /** The latest one. */
  #removal: readonly Mark[] = [];
  #shownTo: Position;
  /** In the order of their positions. */
  readonly #expected: Mark[] = [];
  /** The subscription has come past them without showing them. */
  #passed: Mark[] = [];

  /** The subscription begins behind the head; `last` is the last event before it that stands in the log. */
  constructor(head: Position, last: LogRecord | undefined) {
    this.#shownTo = head;
    this.#shown = last === undefined ? [] : [markOf(last)];
  }

  /** It was acknowledged or read: the subscription will come to it. */
  expect(mark: Mark): void {
    if (comparePositions(mark.position, this.#shownTo) <= 0) return;
    const before = this.#expected.findLastIndex(({ position }) => comparePositions(position, mark.position) <= 0);
    if (this.#expected[before]?.id === mark.id) return;
    this.#expected.splice(before + 1, 0, mark);
    if (this.#expected.length > mostExpected) this.#expected.shift();
  }

  /** The subscription has come to a record, of whatever kind. False when it came past one that it should have shown: then ask what is missing. */
  show(record: LogRecord): boolean {
    this.#shownTo = record.position;
    const mark = markOf(record);
    const beyond = this.#expected.findIndex(({ position }) => comparePositions(position, record.position) > 0);
    for (const reached of this.#expected.splice(0, beyond < 0 ? this.#expected.length : beyond)) {
      if (reached.id !== mark.id || reached.stream !== mark.stream) this.#passed.push(reached);
    }
    if (record.kind === 'event') this.#shown = [mark, ...this.#shown.slice(0, mostShown - 1)];
    if (record.kind === 'removal') this.#noteRemoval(mark);
    return this.#passed.length === 0;
  }

  #noteRemoval(mark: Mark): void {
    this.#removal = [mark];
    this.#shown = this.#shown.filter(({ stream }) => stream !== mark.stream);
  }

  /** What must be in the log and is not, in words. `find` answers what stands at a revision of a stream today. */
  async missing(find: Find): Promise<string | undefined> {
    const gone = (await this.#missingOfKnown(find)) ?? (await this.#missingOfShown(find));
    return gone && (gone.id === removal ? `the removal of ${gone.stream} at position ${gone.position}` : `event ${gone.id} of ${gone.stream} at position ${gone.position}`);
  }

  /** What an append was told of its position is not compared: it may be that of another event of the same append. */
  async #missingOfKnown(find: Find): Promise<Mark | undefined> {
    const passed = [...this.#passed];
    for (const mark of [...passed, ...this.#expected.slice(-1), ...this.#removal]) {
      const found = await find(mark.stream, mark.revision);
      if (found?.id !== mark.id && found?.id !== removal) return mark;
    }
    this.#passed = this.#passed.filter((mark) => !passed.includes(mark));
    return undefined;
  }

  async #missingOfShown(find: Find): Promise<Mark | undefined> {
    for (const mark of this.#shown) {
      const found = await find(mark.stream, mark.revision);
      if (found?.id === removal) continue;
      return found?.id === mark.id && found.position === mark.position ? undefined : mark;
    }
    return undefined;
  }
}
