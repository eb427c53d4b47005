import type { SentRequest } from './port.ts';

/** What came of a request says about its endpoint. Other 4xx and 3xx are answers of one that works, whatever it thinks of the delivery. */
type Verdict = 'well' | 'failing' | 'overloaded' | 'nothing';

/** Answers by which an endpoint says that it has too much to do. Standard Webhooks 1.0, "Operational considerations". */
const overloaded: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** So many failures in a row open it; fewer may be about a delivery. */
const failuresToOpen = 5;
const firstRestMs = 1_000;
const longestRestMs = 60_000;
/** Of one that answers 5xx: it is there, and may fail only at the deliveries that stand before the others. */
const longestRestOfAnsweringMs = 2_000;
/** An endpoint that answers later than this is no quick one, whatever it answers. */
const soonMs = 1_000;

function verdictOf({ response, error }: SentRequest): Verdict {
  if (response === null) return error === 'aborted' ? 'nothing' : 'failing';
  if (overloaded.has(response.status)) return 'overloaded';
  return response.status >= 500 ? 'failing' : 'well';
}

/** Whether its next requests are likely to be over soon. */
export const isWellAnswered = (sent: SentRequest): boolean => verdictOf(sent) === 'well' && sent.durationMs <= soonMs;

/** What follows from an answer. */
export interface Reaction {
  /** For so long nothing may be sent to the endpoint. */
  readonly restMs: number;
  /** It has failed so often in a row that somebody should know. */
  readonly isNews: boolean;
}

const goOn: Reaction = { restMs: 0, isNews: false };

/**
 * Keeps requests from an endpoint that fails. Closed, it passes all. Five failures in a row (no answer, 5xx, 429) open it: then
 * nothing is sent for a second, and then one request at a time, at intervals that double up to a minute (two seconds after another
 * 5xx), until one is answered well. Then one more at a time with each answer, up to all; a failure meanwhile halves them.
 *
 * One answer that says overloaded halves the places, and each round of good answers adds one: an endpoint that says it now and then
 * gets about what it can take. One that asks for a rest gets it, up to a minute; so does one that says it again of what was sent
 * after a halving, with nothing answered well in between. What waits stays where it is: nothing is counted that was not sent.
 * Additive increase, multiplicative decrease, once for what was under way together: RFC 5681, section 3.1.
 */
export class Breaker {
  /** In a row. */
  #failures = 0;
  /** Openings since the last answer. */
  #openings = 0;
  #places = Infinity;
  #turn = 0;
  /** The turn that the last opening began: what began before says nothing new. */
  #openedTurn = 0;
  /** Halved for an answer that said overloaded, and nothing was answered well since. */
  #isDoubted = false;
  /** It has said overloaded on the way: places are added with each round of answers, not with each answer. */
  #isCareful = false;

  /** How many requests may be under way. */
  get places(): number {
    return Math.floor(this.#places);
  }

  /** Whether it has opened, and nothing was answered well since. */
  get isOpen(): boolean {
    return this.#openings > 0;
  }

  /** To be handed back with what came of a request that starts now. */
  get turn(): number {
    return this.#turn;
  }

  /** `most`: the places of an endpoint that works. */
  ended(sent: SentRequest, turn: number, most: number): Reaction {
    const verdict = verdictOf(sent);
    if (verdict === 'nothing') return goOn;
    if (verdict === 'well') return this.#answered(turn, most);
    const askedMs = verdict === 'overloaded' ? Math.min(sent.retryAfterMs ?? 0, longestRestMs) : 0;
    if (this.#isOldNews(verdict, turn)) return { restMs: askedMs, isNews: false };
    this.#failures += 1;
    const isNews = this.#failures === failuresToOpen;
    if (askedMs > 0 || this.#isEnough(verdict)) return { restMs: this.#open(askedMs, verdict, sent), isNews };
    this.#slowDown(verdict, most);
    return { restMs: 0, isNews };
  }

  /** So many attempts failed in a row before anything is known here. Answers whether that is enough to ask with one request first. */
  hasFailedBefore(failures: number): boolean {
    if (failures < failuresToOpen) return false;
    this.#openings = 1;
    this.#places = 1;
    return true;
  }

  /** The endpoint is another one now, or was mended. */
  reset(): void {
    this.#failures = 0;
    this.#openings = 0;
    this.#places = Infinity;
    this.#turn += 1;
    this.#openedTurn = this.#turn;
    this.#isDoubted = false;
    this.#isCareful = false;
  }

  #answered(turn: number, most: number): Reaction {
    this.#failures = 0;
    this.#openings = 0;
    this.#isDoubted = false;
    if (turn === this.#turn) this.#places += this.#isCareful ? 1 / this.#places : 1;
    if (this.#places < most) return goOn;
    this.#places = Infinity;
    this.#isCareful = false;
    return goOn;
  }

  /** What began before an opening opens no further, and what began before a halving halves no further. */
  #isOldNews(verdict: Verdict, turn: number): boolean {
    return turn < (verdict === 'overloaded' ? this.#turn : this.#openedTurn);
  }

  #isEnough(verdict: Verdict): boolean {
    const again = verdict === 'overloaded' && this.#isDoubted;
    return again || this.isOpen || this.#failures >= failuresToOpen;
  }

  #slowDown(verdict: Verdict, most: number): void {
    const isOverloaded = verdict === 'overloaded';
    if (!isOverloaded && this.#places === Infinity) return;
    this.#places = Math.max(1, Math.floor(Math.min(this.#places, most) / 2));
    if (!isOverloaded) return;
    this.#turn += 1;
    this.#isDoubted = true;
    this.#isCareful = true;
  }

  #open(askedMs: number, verdict: Verdict, { response }: SentRequest): number {
    const longestMs = verdict === 'failing' && response !== null ? longestRestOfAnsweringMs : longestRestMs;
    const restMs = Math.max(askedMs, Math.min(firstRestMs * 2 ** this.#openings, longestMs));
    this.#openings += 1;
    this.#turn += 1;
    this.#openedTurn = this.#turn;
    this.#places = 1;
    this.#isDoubted = false;
    this.#isCareful ||= verdict === 'overloaded';
    return restMs;
  }
}
