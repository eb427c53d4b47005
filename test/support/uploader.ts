import { parentPort, workerData } from 'node:worker_threads';

/** What to send, and how often. */
export interface Upload {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: number;
  /** Without a Content-Length, chunk by chunk. */
  readonly inPieces: boolean;
  readonly times: number;
}

/** A thread that posts bodies with plain `fetch` and tells what came back for each: on a thread of its own, as a client is, it writes while the server reads. */
async function send({ url, headers, bytes, inPieces }: Upload): Promise<string> {
  const body = new Uint8Array(bytes);
  try {
    const answer = await fetch(url, { method: 'POST', headers, body: inPieces ? piecesOf(body) : body, duplex: 'half' });
    return `${answer.status} ${await answer.text()}`;
  } catch (error) {
    return `no answer: ${String(error instanceof Error ? (error.cause ?? error) : error)}`;
  }
}

const piecesOf = (body: Uint8Array): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start(controller) {
      for (let at = 0; at < body.length; at += 65_536) controller.enqueue(body.slice(at, at + 65_536));
      controller.close();
    },
  });

const upload = workerData as Upload;
for (let n = 0; n < upload.times; n += 1) parentPort?.postMessage(await send(upload));
parentPort?.close();
