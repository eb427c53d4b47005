import { type Answer, type HttpReceiver, type ReceivedRequest, startReceiver } from '../webhook-receivers.ts';
import { eventually } from './eventually.ts';

export interface Delivered extends ReceivedRequest {
  /** When it had arrived, on the monotonic clock. */
  readonly atMs: number;
  /** What the body says. */
  readonly event: { readonly id: string; readonly type: string; readonly data: unknown };
}

/** What is answered to a request; 200 when nothing is said. A promise holds the answer back. */
export type Reply = { readonly status?: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string };
export type Replies = (request: Delivered) => Reply | Promise<Reply>;

/** A receiver in this process with a box for each path: each test has its own. */
export class Inbox {
  readonly #receiver: HttpReceiver;
  readonly #boxes: Map<string, Delivered[]>;
  readonly #replies: Map<string, Replies>;

  private constructor(receiver: HttpReceiver, boxes: Map<string, Delivered[]>, replies: Map<string, Replies>) {
    this.#receiver = receiver;
    this.#boxes = boxes;
    this.#replies = replies;
  }

  static async start(): Promise<Inbox> {
    const boxes = new Map<string, Delivered[]>();
    const replies = new Map<string, Replies>();
    const take: Answer = (response, request) => {
      const delivered = { ...request, atMs: performance.now(), event: JSON.parse(request.body) as Delivered['event'] };
      boxes.set(request.path, [...(boxes.get(request.path) ?? []), delivered]);
      void Promise.resolve((replies.get(request.path) ?? ((): Reply => ({})))(delivered)).then(({ status = 200, headers = {}, body = 'ok' }) => response.writeHead(status, headers).end(body));
    };
    return new Inbox(await startReceiver(take), boxes, replies);
  }

  /** The address of a box; `replies` says what is answered there. */
  url(box: string, replies?: Replies): string {
    const path = `/${box}`;
    if (replies !== undefined) this.#replies.set(path, replies);
    return new URL(path, this.#receiver.url).href;
  }

  in(box: string): readonly Delivered[] {
    return this.#boxes.get(`/${box}`) ?? [];
  }

  /** Everything in all boxes. */
  all(): readonly Delivered[] {
    return [...this.#boxes.values()].flat();
  }

  /** Everything in a box as soon as there are so many. */
  arrived(box: string, count: number, withinMs?: number): Promise<readonly Delivered[]> {
    return eventually(`${count} requests to ${box}`, () => (this.in(box).length >= count ? this.in(box) : undefined), withinMs);
  }

  connections(): number {
    return this.#receiver.connections();
  }

  close(): Promise<void> {
    return this.#receiver.close();
  }
}
