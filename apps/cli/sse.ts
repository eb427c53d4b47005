import { rootCause } from './error-code.ts';
import { NoAnswer, type Request } from './http.ts';

/** One message of an event stream. `id` is the last one the stream has said, perhaps with a message before. */
export interface SseMessage {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** The server says something at least every 15 s. */
const longestSilenceMs = 45_000;
/** Far more than any event has. */
const mostChars = 16 * 1024 * 1024;

/**
 * Asks for an event stream and hands over its messages as they come. Ends when the server ends it. Throws ProblemAnswer
 * when it is refused, NoAnswer when it can't be had, breaks off, or is silent for 45 s.
 */
export async function* eventStream(open: (asked: Request) => Promise<Response>, asked: Pick<Request, 'path' | 'query' | 'signal'> & Partial<Pick<Request, 'method'>>): AsyncGenerator<SseMessage> {
  const response = await open({ method: 'GET', ...asked, headers: { accept: 'text/event-stream, application/problem+json' } });
  if (!/^text\/event-stream\b/.test(response.headers.get('content-type') ?? '') || response.body === null) {
    throw new NoAnswer('the answer is no event stream: is it a Countersign server?', true);
  }
  const parser = new SseParser();
  const decoder = new TextDecoder();
  for await (const chunk of chunksOf(response.body, 'the event stream')) yield* parser.push(decoder.decode(chunk, { stream: true }));
}

/** The body of an answer, in pieces. Throws NoAnswer, saying what broke off, when it does or when nothing comes for 45 s. */
export async function* chunksOf(body: ReadableStream<Uint8Array>, what: string): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let silent = false;
  const giveUp = (): void => {
    silent = true;
    void reader.cancel().catch(() => undefined);
  };
  try {
    for (;;) {
      // Time of the machine, not of `io.clock`: it runs only while a read is under way.
      const silence = setTimeout(giveUp, longestSilenceMs);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (silent) throw new NoAnswer(`the server said nothing for ${longestSilenceMs / 1_000} s`, true);
      if (done) return;
      yield value;
    }
  } catch (error) {
    throw error instanceof NoAnswer ? error : brokenOff(what, error);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

function brokenOff(what: string, error: unknown): NoAnswer {
  const code = rootCause(error);
  return new NoAnswer(`${what} broke off${code === '' ? '' : ` (${code})`}`, true);
}

const lineEnd = /\r\n|\r|\n/g;

/**
 * Text of an event stream, in pieces that end anywhere, to messages. WHATWG HTML, section 9.2.6, "Interpreting an event
 * stream". One field is ours: `base64` is the data to the byte, where `data` could not carry a carriage return.
 */
export class SseParser {
  #line = '';
  #endedInCr = false;
  #event = '';
  #data: string[] = [];
  #base64: string | undefined;
  #chars = 0;
  #id = '';

  push(text: string): readonly SseMessage[] {
    if (text === '') return [];
    const messages: SseMessage[] = [];
    let start = this.#endedInCr && text.startsWith('\n') ? 1 : 0;
    this.#endedInCr = text.endsWith('\r');
    lineEnd.lastIndex = start;
    for (let end = lineEnd.exec(text); end !== null; end = lineEnd.exec(text)) {
      const message = this.#take(this.#line + text.slice(start, end.index));
      if (message !== undefined) messages.push(message);
      this.#line = '';
      start = lineEnd.lastIndex;
    }
    this.#line += text.slice(start);
    if (this.#chars + this.#line.length > mostChars) throw new NoAnswer('the event stream has a message that is too long', true);
    return messages;
  }

  #take(line: string): SseMessage | undefined {
    if (line === '') return this.#dispatch();
    const [, name = '', value = ''] = /^([^:]*)(?:: ?([^]*))?$/.exec(line) ?? [];
    this.#set(name, value);
    this.#chars += line.length;
    return undefined;
  }

  #set(name: string, value: string): void {
    if (name === 'event') this.#event = value;
    else if (name === 'data') this.#data.push(value);
    else if (name === 'base64') this.#base64 = value;
    else if (name === 'id' && !value.includes('\0')) this.#id = value;
  }

  #dispatch(): SseMessage | undefined {
    const message = { event: this.#event === '' ? 'message' : this.#event, id: this.#id, data: this.#base64 === undefined ? this.#data.join('\n') : Buffer.from(this.#base64, 'base64').toString('utf8') };
    const isMessage = this.#data.length > 0;
    [this.#event, this.#data, this.#base64, this.#chars] = ['', [], undefined, 0];
    return isMessage ? message : undefined;
  }
}
