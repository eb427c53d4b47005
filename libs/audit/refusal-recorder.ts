import { type CommandRefused, isOnRecord } from '#approvals';
import { appendUntilKnown, commandDefinitions, commandIdOf, type CommandRequest } from '#command-pipeline';
import type { EventStore } from '#event-store';
import { type Actor, type Clock, derivedId, formatInstant, formatPrincipal, type Ids, isName, type Metadata, type NewEvent, newId, type Refusal, siteKey, streamOf } from '#kernel';

/** A request that was refused; `actor` is whom the caller was authenticated for, null for a key without an actor of its own that named one it may not. */
export type RefusedRequest = Omit<CommandRequest, 'actor'> & { readonly actor: Actor | null };

export interface RefusalRecorder {
  /**
   * Puts a refusal on record when it is one of those (`isOnRecord`), later and in the order of the calls. Never throws, and
   * never makes anybody wait.
   */
  record(request: RefusedRequest, refusal: Refusal): void;
  /** Writes what waits; what can't be written within 5 s is an alarm. */
  stop(): Promise<void>;
}

export interface RefusalAlarm {
  readonly alarm: 'refusal-unrecorded';
  readonly commandType: string;
  readonly code: string;
  readonly correlationId: string;
  readonly detail: string;
  readonly err?: unknown;
}

export interface RefusalRecorderOptions {
  readonly store: Pick<EventStore, 'append'>;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly onAlarm: (alarm: RefusalAlarm) => void;
}

/** What one key in one site may have recorded: so many at once, and so many a second from then on. */
export const refusalBurst = 20;
export const refusalsPerSecond = 10;
/** Refusals that wait to be written, at most. */
export const waitingRefusals = 1_000;
/** Pairs of key and site that are remembered. */
const meters = 10_000;
/** How long one is tried to be written, and all that wait at a stop. */
const writeWithinMs = 5_000;

interface Attempt {
  readonly request: RefusedRequest;
  readonly refusal: Refusal;
  readonly atMs: number;
}

/** How much one key may have recorded in one site now; what is too much is counted, and the latest of it kept. */
interface Meter {
  tokens: number;
  refilledAtMs: number;
  held: { attempt: Attempt; suppressed: number; readonly cancel: () => void } | undefined;
}

interface Waiting {
  readonly attempt: Attempt;
  readonly suppressed: number;
}

/** Records refused attempts, each in a stream of its own. */
export function createRefusalRecorder(options: RefusalRecorderOptions): RefusalRecorder {
  return new Recorder(options);
}

class Recorder implements RefusalRecorder {
  readonly #options: RefusalRecorderOptions;
  readonly #meters = new Map<string, Meter>();
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #stopByMs = Infinity;

  constructor(options: RefusalRecorderOptions) {
    this.#options = options;
  }

  record(request: RefusedRequest, refusal: Refusal): void {
    if (request.caller === null || !isOnRecord(request.commandType, refusal.refused)) return;
    const { clock } = this.#options;
    const attempt = slim(request, refusal, clock.now());
    const meter = this.#meterOf(`${request.caller.keyId}|${siteKey(request.site)}`);
    if (meter.held !== undefined) {
      meter.held.suppressed += 1;
      meter.held.attempt = attempt;
      return;
    }
    refill(meter, clock.monotonicMs());
    if (meter.tokens >= 1) this.#spend(meter, { attempt, suppressed: 0 });
    else meter.held = { attempt, suppressed: 0, cancel: clock.after(Math.ceil(((1 - meter.tokens) * 1_000) / refusalsPerSecond), () => this.#release(meter)) };
  }

  async stop(): Promise<void> {
    this.#stopByMs = this.#options.clock.monotonicMs() + writeWithinMs;
    for (const meter of this.#meters.values()) this.#release(meter);
    await this.#writing;
  }

  #meterOf(name: string): Meter {
    const known = this.#meters.get(name);
    const meter = known ?? { tokens: refusalBurst, refilledAtMs: this.#options.clock.monotonicMs(), held: undefined };
    // The one that was not used for longest is forgotten first.
    this.#meters.delete(name);
    this.#meters.set(name, meter);
    const [oldest] = this.#meters;
    if (this.#meters.size > meters && oldest !== undefined) {
      this.#release(oldest[1]);
      this.#meters.delete(oldest[0]);
    }
    return meter;
  }

  #release(meter: Meter): void {
    const { held } = meter;
    if (held === undefined) return;
    held.cancel();
    meter.held = undefined;
    refill(meter, this.#options.clock.monotonicMs());
    this.#spend(meter, held);
  }

  #spend(meter: Meter, waiting: Waiting): void {
    meter.tokens = Math.max(0, meter.tokens - 1);
    if (this.#waiting.length >= waitingRefusals) {
      this.#alarm(waiting, `${waitingRefusals} refusals wait to be written already`);
      return;
    }
    this.#waiting.push({ attempt: waiting.attempt, suppressed: waiting.suppressed });
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await this.#writeOne(next);
    this.#writing = undefined;
  }

  async #writeOne(waiting: Waiting): Promise<void> {
    const { store, clock, ids } = this.#options;
    const { request, atMs } = waiting.attempt;
    const stream = streamOf('refusal', request.site, newId('ref', atMs, ids));
    try {
      const deadlineMs = Math.min(clock.monotonicMs() + writeWithinMs, this.#stopByMs);
      const appended = await appendUntilKnown(store, clock, stream, 'NO_STREAM', [eventOf(waiting, ids.uuid())], deadlineMs);
      if (typeof appended !== 'object') this.#alarm(waiting, `the append was not acknowledged: ${appended}`);
    } catch (error) {
      this.#alarm(waiting, 'the append failed', error);
    }
  }

  #alarm({ attempt: { request, refusal } }: Waiting, detail: string, err?: unknown): void {
    const { commandType, correlationId } = request;
    this.#options.onAlarm({ alarm: 'refusal-unrecorded', commandType, code: refusal.refused, correlationId, detail, ...(err === undefined ? {} : { err }) });
  }
}

/** What will be written, and no more: a thousand refusals may wait, and the body of each may have been megabytes long. */
function slim(request: RefusedRequest, { refused, detail, members }: Refusal, atMs: number): Attempt {
  const kept = new Set([memberOf(request.commandType), 'approvalId']);
  const payload = Object.fromEntries(Object.entries(request.payload).flatMap(([name, value]) => (kept.has(name) ? [[name, idIn(value) ?? null]] : [])));
  return { request: { ...request, payload }, refusal: { refused, detail, members: { approvalId: members?.['approvalId'] } }, atMs };
}

function refill(meter: Meter, nowMs: number): void {
  meter.tokens = Math.min(refusalBurst, meter.tokens + ((nowMs - meter.refilledAtMs) * refusalsPerSecond) / 1_000);
  meter.refilledAtMs = nowMs;
}

function eventOf({ attempt: { request, refusal, atMs }, suppressed }: Waiting, id: string): NewEvent {
  const { commandType, caller } = request;
  const data: CommandRefused['data'] = {
    commandType,
    resourceId: resourceOf(request),
    code: refusal.refused,
    detail: refusal.detail,
    keyId: caller?.keyId ?? '',
    approvalId: request.approvalId ?? idIn(refusal.members?.['approvalId']) ?? idIn(request.payload['approvalId']) ?? null,
    suppressed,
  };
  return { id, type: 'CommandRefused', data: JSON.stringify(data), metadata: metadataOf(request, atMs) };
}

/** Nothing that a caller wrote is kept but ids; those of policies are command types. */
const idIn = (value: unknown): string | undefined => (typeof value === 'string' && isName(value.toLowerCase()) ? value : undefined);

const definitionOf = (commandType: string): (typeof commandDefinitions)[number] | undefined => commandDefinitions.find(({ type }) => type === commandType);

/** The member of the payload that names what the command is about. */
const memberOf = (commandType: string): string | undefined => (commandType === 'RequestApproval' ? 'resourceId' : definitionOf(commandType)?.idMember);

/** What the command is about, by what it names; what it would have made has the id it would have got. */
function resourceOf({ commandType, payload, site, idempotencyKey }: RefusedRequest): string | null {
  const definition = definitionOf(commandType);
  const member = memberOf(commandType);
  const given = member === undefined ? undefined : payload[member];
  if (given !== undefined || definition?.idPrefix === undefined) return idIn(given) ?? null;
  return derivedId(definition.idPrefix, commandIdOf(site, idempotencyKey, 'caller'));
}

function metadataOf({ actor, site, commandType, idempotencyKey, correlationId, traceparent }: RefusedRequest, atMs: number): Metadata {
  const { onBehalfOf = [] } = actor ?? {};
  return {
    recordedat: formatInstant(atMs),
    schemaversion: '1',
    tenant: site.tenant,
    environment: site.environment,
    ...(actor === null ? {} : { actortype: actor.type, actorid: actor.id }),
    ...(onBehalfOf.length === 0 ? {} : { onbehalfof: onBehalfOf.map(formatPrincipal).join(',') }),
    commandid: commandIdOf(site, idempotencyKey, 'caller'),
    commandtype: commandType,
    correlationid: correlationId,
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
