import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { messageText } from '../server/http/event-stream.ts';
import { NoAnswer } from './http.ts';
import { eventStream, type SseMessage, SseParser } from './sse.ts';

const parsed = (...pieces: readonly string[]): readonly SseMessage[] => {
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(piece));
};

/** Cuts bytes at the places. */
const cut = (bytes: Uint8Array, places: readonly number[]): readonly Uint8Array[] => {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
};

const answering = (chunks: readonly Uint8Array[], type = 'text/event-stream', error?: Error) => () =>
  Promise.resolve(
    new Response(
      new ReadableStream({
        start: (controller) => {
          for (const chunk of chunks) controller.enqueue(chunk);
          if (error === undefined) controller.close();
          else controller.error(error);
        },
      }),
      { headers: { 'content-type': type } },
    ),
  );

const all = async (open: () => Promise<Response>): Promise<readonly SseMessage[]> => {
  const messages: SseMessage[] = [];
  for await (const message of eventStream(open, { path: '/' })) messages.push(message);
  return messages;
};

describe('an event stream is read as the standard says', () => {
  it.each<readonly [string, string, readonly Partial<SseMessage>[]]>([
    ['a message without a type is a "message"', 'data: x\n\n', [{ event: 'message', id: '', data: 'x' }]],
    ['several data lines are one text', 'data: YHOO\ndata: +2\ndata: 10\n\n', [{ data: 'YHOO\n+2\n10' }]],
    ['comments are nothing', ': test stream\n\ndata: first\nid: 1\n\n: more\n\n', [{ data: 'first', id: '1' }]],
    ['an id holds until another is said', 'id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n', [{ id: '1' }, { id: '1' }, { id: '' }]],
    ['an id with a null character is ignored', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', [{ id: '1' }, { id: '1' }]],
    ['one space after the colon is not part of the value', 'data:test\n\ndata: test\n\ndata:  test\n\n', [{ data: 'test' }, { data: 'test' }, { data: ' test' }]],
    ['a field without a colon has an empty value', 'data\n\ndata\ndata\n\ndata:', [{ data: '' }, { data: '\n' }]],
    ['without data there is no message, and its type is forgotten', 'event: a\nid: 7\n\ndata: b\n\n', [{ event: 'message', id: '7', data: 'b' }]],
    ['a field that is unknown is ignored', 'retry: 3000\nfoo: bar\ndata: a\n\n', [{ data: 'a' }]],
    ['what was not ended by an empty line is no message', 'data: a\n\ndata: b\n', [{ data: 'a' }]],
    ['lines end with CR, LF or both', 'data: a\r\n\r\ndata: b\r\rdata: c\n\n', [{ data: 'a' }, { data: 'b' }, { data: 'c' }]],
    ['data with a carriage return comes to the byte', `base64: ${btoa('{\r\n}')}\ndata: {\ndata: }\n\ndata: a\n\n`, [{ data: '{\r\n}' }, { data: 'a' }]],
  ])('%s', (_case, text, messages) => expect(parsed(text)).toEqual(messages.map((message) => expect.objectContaining(message))));

  it('CR and LF that come apart are one line end', () => expect(parsed('data: a\r', '\ndata: A\r', '', '\n\r', '\ndata: b\r', '\r\n', 'data: c\n\n')).toEqual([expect.objectContaining({ data: 'a\nA' }), expect.objectContaining({ data: 'b' }), expect.objectContaining({ data: 'c' })]));

  it('a message without an end is refused before it fills the memory', () => {
    const parser = new SseParser();
    expect(() => Array.from({ length: 20 }, () => parser.push(`data: ${'x'.repeat(1024 * 1024)}\n`))).toThrow(NoAnswer);
    expect(() => Array.from({ length: 20 }, () => new SseParser().push('x'.repeat(17 * 1024 * 1024)))).toThrow(NoAnswer);
  });
});

const jsonText = fc.oneof(
  fc.json(),
  fc.array(fc.constantFrom('{', '\r', '\n', '\r\n', ' ', '"größe"', ':', '1.0', '\u2028', '😀', '}')).map((parts) => parts.join('')),
);

describe('what the server writes', () => {
  it('is read byte for byte, wherever its chunks end', () =>
    fc.assert(
      fc.asyncProperty(fc.array(fc.record({ event: fc.constantFrom('event', 'connected'), id: fc.nat().map(String), data: jsonText.filter((data) => data !== '') })), fc.array(fc.nat()), async (messages, places) => {
        const bytes = Buffer.from(messages.map((message) => `: keep-alive\n\n${messageText(message)}`).join(''));
        expect(await all(answering(cut(bytes, places)))).toEqual(messages);
      }),
    ));
});

describe('an event stream that can not be read', () => {
  it('is none when the answer is something else', () => expect(all(answering([], 'text/html'))).rejects.toThrow('the answer is no event stream: is it a Countersign server?'));

  it('says that it broke off, after what had come', async () => {
    const broken = Object.assign(new TypeError('terminated'), { cause: { code: 'UND_ERR_SOCKET' } });
    await expect(all(answering([], undefined, broken))).rejects.toThrow('the event stream broke off (UND_ERR_SOCKET)');
  });

  it('lets go of the connection when its reader has enough', async () => {
    let cancelled = false;
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(Buffer.from('data: a\n\n')), cancel: () => void (cancelled = true) });
    for await (const { data } of eventStream(() => Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } })), { path: '/' })) if (data === 'a') break;
    expect(cancelled).toBe(true);
  });
});
