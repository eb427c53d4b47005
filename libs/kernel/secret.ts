const inspect = Symbol.for('nodejs.util.inspect.custom');
const redacted = '[redacted]';

/**
 * A value that must not be seen: prints as `[redacted]` wherever it is logged, serialised or inspected.
 * `reveal` is called in exactly two kinds of place: where a request is signed or sealed, and in the one serializer of answers.
 */
export class Secret<T = string> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toJSON(): string {
    return redacted;
  }

  toString(): string {
    return redacted;
  }

  [inspect](): string {
    return redacted;
  }
}
