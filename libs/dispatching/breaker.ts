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
 * Keeps requests from an endpoint that fails. Closed, it passes all. Five failures in a row (no answer, 5xx, 429) open it, and so
 * does one answer that says overloaded: then nothing is sent for a second, or as long as the endpoint asks for within a minute, and
 * then one request at a time, at intervals that double up to a minute (two seconds after another 5xx), until one is answered well.
 * Then one more at a time with each answer, up to all; a failure meanwhile halves them. What waits stays where it is: nothing is
 * counted that was not sent.
 */
export class Breaker {
  #failures = 0;
  /** Openings since the last answer. */
  #openings = 0;
  #places = Infinity;
  #turn = 0;

  /** How many requests may be under way. */
  get places(): number {
    return this.#places;
  }

  /** Whether it has opened, and nothing was answered well since. */
  get isOpen(): boolean {
    return this.#openings > 0;
  }

  /** To be handed back with what came of a request that starts now: after an opening, earlier ones say nothing new. */
  get turn(): number {
    return this.#turn;
  }

  /** `most`: the places of an endpoint that works. */
  ended(sent: SentRequest, turn: number, most: number): Reaction {
    const verdict = verdictOf(sent);
    if (verdict === 'nothing') return goOn;
    if (verdict === 'well') return this.#answered(turn, most);
    const askedMs = verdict === 'overloaded' ? Math.min(Math.max(sent.retryAfterMs ?? 0, firstRestMs), longestRestMs) : 0;
    const longestMs = verdict === 'failing' && sent.response !== null ? longestRestOfAnsweringMs : longestRestMs;
    return turn === this.#turn ? this.#failed(askedMs, longestMs) : { restMs: askedMs, isNews: false };
  }

  /** The endpoint is another one now, or was mended. */
  reset(): void {
    this.#failures = 0;
    this.#openings = 0;
    this.#places = Infinity;
    this.#turn += 1;
  }

  #answered(turn: number, most: number): Reaction {
    this.#failures = 0;
    this.#openings = 0;
    if (turn === this.#turn) this.#places += 1;
    if (this.#places >= most) this.#places = Infinity;
    return goOn;
  }

  #failed(askedMs: number, longestMs: number): Reaction {
    this.#failures += 1;
    const isNews = this.#failures === failuresToOpen;
    const restMs = askedMs > 0 || this.isOpen || this.#failures >= failuresToOpen ? this.#open(askedMs, longestMs) : 0;
    if (restMs === 0 && this.#places < Infinity) this.#places = Math.max(1, Math.floor(this.#places / 2));
    return { restMs, isNews };
  }

  #open(askedMs: number, longestMs: number): number {
    const restMs = Math.max(askedMs, Math.min(firstRestMs * 2 ** this.#openings, longestMs));
    this.#openings += 1;
    this.#turn += 1;
    this.#places = 1;
    return restMs;
  }
}
