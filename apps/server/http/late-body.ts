import type { IncomingMessage } from 'node:http';
import type { Clock } from '#kernel';

/** How much of a body that nobody wants is still taken, and for how long. */
const mostBytes = 16 * 1024 * 1024;
const longestMs = 2_000;

/** Whether a request is answered while its body is still being sent. */
export const isStillSending = (raw: IncomingMessage): boolean =>
  (raw.headers['transfer-encoding'] !== undefined || Number(raw.headers['content-length'] ?? 0) > 0) && !raw.complete && !raw.readableEnded;

/**
 * The answer to a request whose body is still being sent: goes out at once, and ends when the rest of the body has been
 * thrown away, after 16 MiB of it or after 2 s. The connection that closes earlier is reset, and a client that is busy
 * writing never reads why. RFC 9112, section 9.6.
 */
export async function* answerThenDrain(answer: Buffer, raw: IncomingMessage, clock: Clock): AsyncGenerator<Buffer> {
  yield answer;
  await drain(raw, clock);
}

function drain(raw: IncomingMessage, clock: Clock): Promise<void> {
  const { promise: done, resolve } = Promise.withResolvers<void>();
  let bytes = 0;
  const count = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes >= mostBytes) resolve();
  };
  const cancel = clock.after(longestMs, resolve);
  raw.on('data', count).once('close', resolve).once('end', resolve);
  if (!isStillSending(raw) || raw.destroyed) resolve();
  raw.resume();
  return done.finally(() => {
    cancel();
    raw.off('data', count).pause();
  });
}
