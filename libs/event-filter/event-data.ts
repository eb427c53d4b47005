/** The data of one event: parsed when a filter first asks for it, and once however many ask. */
export class EventData {
  readonly #text: string;
  #parsed: { readonly value: unknown } | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Throws `SyntaxError` when it is no JSON, which what Countersign accepts always is. */
  get value(): unknown {
    this.#parsed ??= { value: JSON.parse(this.#text) as unknown };
    return this.#parsed.value;
  }
}
