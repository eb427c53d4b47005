/** Which methods each path of the server answers: what a 405 tells in `Allow`. */
export class AllowedMethods {
  readonly #routes = new Map<string, { readonly form: RegExp; readonly methods: Set<string> }>();

  /** `pattern` as the router has it: `/api/keys/:keyId`. */
  add(pattern: string, methods: readonly string[]): void {
    const route = this.#routes.get(pattern) ?? { form: formOf(pattern), methods: new Set<string>() };
    for (const method of methods) route.methods.add(method);
    this.#routes.set(pattern, route);
  }

  /** The methods that the path answers, sorted; none when there is no such path. */
  of(path: string): readonly string[] {
    return [...new Set([...this.#routes.values()].flatMap(({ form, methods }) => (form.test(path) ? [...methods] : [])))].sort();
  }
}

const formOf = (pattern: string): RegExp =>
  new RegExp(`^${pattern.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('/')}$`);
