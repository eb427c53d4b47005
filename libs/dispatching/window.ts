import { comparePositions } from '#kernel';
import type { FedDelivery, OpenDelivery, OpenStatus, Order, Place } from './port.ts';
import type { Tally } from './tenants.ts';

const start: Place = { dueAtMs: 0, scheduledPosition: '0' };

/** A page of the read model that is being read. */
export interface Page {
  readonly after: Place | null;
  readonly limit: number;
  readonly token: symbol;
}

/**
 * The waiting deliveries of one subscription and status that are in memory: those before the horizon. Everything open before
 * the horizon is here, in flight, or on its way into the read model; at and after it deliveries may be known to the read model
 * alone. No horizon: there is nothing more. So a backlog of any length costs a bounded window, and none costs no query.
 */
export class Window {
  readonly status: OpenStatus;
  order: Order;
  readonly #waiting: Tally;
  #entries: OpenDelivery[] = [];
  readonly #ids = new Set<string>();
  #horizon: Place | null;
  /** While a page is read: the first place that came up meanwhile and may be missing in it. */
  #missed: Place | null = null;
  #reading: symbol | undefined;

  constructor(status: OpenStatus, waiting: Tally, known: 'nothing-open' | 'unknown') {
    this.status = status;
    this.order = status === 'PENDING' ? 'log' : 'due';
    this.#waiting = waiting;
    this.#horizon = known === 'unknown' ? start : null;
  }

  get size(): number {
    return this.#entries.length;
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** Nothing waits here, and nothing more is in the read model. */
  get isDone(): boolean {
    return this.#entries.length === 0 && this.#horizon === null && !this.isReading;
  }

  /** Which delivery is the first one is not known before a page is read. */
  get isUnsure(): boolean {
    return this.#entries.length === 0 && this.#horizon !== null;
  }

  head(): OpenDelivery | undefined {
    return this.#entries[0];
  }

  has(deliveryId: string): boolean {
    return this.#ids.has(deliveryId);
  }

  take(): OpenDelivery | undefined {
    const entry = this.#entries.shift();
    if (entry !== undefined) this.#forget(entry);
    return entry;
  }

  remove(deliveryId: string): void {
    if (!this.#ids.has(deliveryId)) return;
    const index = this.#entries.findIndex((entry) => entry.deliveryId === deliveryId);
    for (const entry of this.#entries.splice(index, 1)) this.#forget(entry);
  }

  /** Takes a delivery in when it stands before the horizon and is due by `keepUntilMs`; else the read model keeps it. At the limit the last one goes; what is there already above it stays, or it would be asked for again at once. */
  offer(entry: OpenDelivery, limit: number, keepUntilMs: number): void {
    if (this.#ids.has(entry.deliveryId)) return;
    const tooFar = this.order === 'due' && entry.dueAtMs > keepUntilMs;
    if (tooFar || this.#isBeyond(entry)) return this.lower(entry);
    const most = Math.max(limit, this.#entries.length);
    this.#insert(entry);
    if (this.#entries.length > most) this.#evictLast();
  }

  /** From this place on the read model may know more than we do. */
  lower({ dueAtMs, scheduledPosition }: Place): void {
    const place = { dueAtMs, scheduledPosition };
    if (this.isReading) this.#missed = first(place, this.#missed, this.order);
    this.#horizon = first(place, this.#horizon, this.order);
  }

  /** When there is something to do: a delivery is due, or the read model may know one that is. */
  wakeAtMs(): number {
    const head = this.#entries[0];
    const horizon = this.isReading ? null : this.#horizon;
    if (this.order === 'log') return head === undefined && horizon === null ? Infinity : 0;
    return Math.min(dueAtMsOf(head), dueAtMsOf(horizon));
  }

  /** Whether a page should be read: little is left, and what may lie beyond is due. */
  wantsPage(nowMs: number, limit: number): boolean {
    if (this.#horizon === null || this.isReading || this.#entries.length > limit / 4) return false;
    return this.order === 'log' || this.#horizon.dueAtMs <= nowMs;
  }

  /** Begins to read a page; undefined when there is nothing beyond the horizon. `endPage` must follow. */
  beginPage(limit: number): Page | undefined {
    if (this.#horizon === null) return undefined;
    const token = Symbol('page');
    this.#reading = token;
    const { dueAtMs, scheduledPosition } = this.#horizon;
    const after = this.#horizon === start ? null : { dueAtMs, scheduledPosition: String(BigInt(scheduledPosition) - 1n) };
    return { after, limit: limit - this.#entries.length + 1, token };
  }

  /** Hands over the rows of a page (undefined: it could not be read), except when the window was emptied meanwhile. */
  endPage(page: Page, rows: readonly FedDelivery[] | undefined, take: (row: OpenDelivery) => void): void {
    if (this.#reading !== page.token) return;
    const missed = this.#missed;
    this.#reading = undefined;
    this.#missed = null;
    if (rows !== undefined) this.#takePage(rows, page.limit, take);
    if (missed === null) return;
    this.lower(missed);
    // They would be taken for the first ones: what came up before them is read first, and they after it.
    for (let last = this.#entries.at(-1); last !== undefined && this.#isBeyond(last); last = this.#entries.at(-1)) this.#evictLast();
  }

  #takePage(rows: readonly FedDelivery[], asked: number, take: (row: OpenDelivery) => void): void {
    // The last row of a full page is only the place where the next one begins.
    const next = rows.length >= asked ? rows.at(-1) : undefined;
    this.#horizon = null;
    if (next !== undefined) this.lower(next);
    for (const row of rows) if (row !== next) take({ ...row, status: this.status });
  }

  /** Sorts anew. With a horizon the first ones by the new order may be elsewhere: then it starts from nothing. */
  setOrder(order: Order): void {
    if (order === this.order) return;
    this.order = order;
    if (this.#horizon !== null || this.isReading) this.forgetAll();
    else this.#entries.sort((a, b) => compare(a, b, order));
  }

  /** Keeps nothing; the read model knows what is open. */
  forgetAll(): void {
    this.#clear();
    this.#horizon = start;
  }

  /** Keeps nothing, and nothing is open. */
  close(): void {
    this.#clear();
    this.#horizon = null;
  }

  #isBeyond(place: Place): boolean {
    return this.#horizon !== null && compare(place, this.#horizon, this.order) >= 0;
  }

  #evictLast(): void {
    const last = this.#entries.pop();
    if (last === undefined) return;
    this.#forget(last);
    this.lower(last);
  }

  #clear(): void {
    this.#waiting.add(-this.#entries.length);
    this.#entries = [];
    this.#ids.clear();
    this.#reading = undefined;
    this.#missed = null;
  }

  #insert(entry: OpenDelivery): void {
    let index = this.#entries.length;
    for (let before = this.#entries[index - 1]; before !== undefined && compare(entry, before, this.order) < 0; before = this.#entries[index - 1]) index -= 1;
    if (index === this.#entries.length) this.#entries.push(entry);
    else this.#entries.splice(index, 0, entry);
    this.#ids.add(entry.deliveryId);
    this.#waiting.add(1);
  }

  #forget(entry: OpenDelivery): void {
    this.#ids.delete(entry.deliveryId);
    this.#waiting.add(-1);
  }
}

const dueAtMsOf = (place: Pick<Place, 'dueAtMs'> | null | undefined): number => place?.dueAtMs ?? Infinity;

const first = (a: Place, b: Place | null, order: Order): Place => (b === null || compare(a, b, order) < 0 ? a : b);

function compare(a: Place, b: Place, order: Order): number {
  return (order === 'due' ? a.dueAtMs - b.dueAtMs : 0) || comparePositions(a.scheduledPosition, b.scheduledPosition);
}
