import type { EventStore, ExpectedRevision } from '#event-store';
import { isLedgerEvent, type DomainEvent, type LedgerEvent, type Position, type Receipt, type RecordedEvent, startOfLog, stored, type Stored } from '#kernel';

/** A receipt, and where its append ended. */
export interface StoredReceipt extends Receipt {
  readonly position: Position;
}

/** How an approval ended on a resource: used by a command, or fenced off. */
export type ApprovalEnd = { readonly usedBy: string } | 'fenced';

/** One stream folded: the domain's state, and the ledger that stands beside it. */
export interface Loaded<State> {
  readonly state: State;
  /** How many state-changing events the resource has had: the revision of the outside contract. */
  readonly revision: number;
  /** What the next append must expect. Never leaves the pipeline. */
  readonly expected: ExpectedRevision;
  readonly position: Position;
  readonly receipts: ReadonlyMap<string, StoredReceipt>;
  readonly endedApprovals: ReadonlyMap<string, ApprovalEnd>;
}

/** The pure half of an aggregate: where it starts, how a fact changes it. */
export interface Fold<State, Event extends DomainEvent<string, object>> {
  readonly initialState: State;
  evolve(state: State, event: Stored<Event>): State;
}

interface Entry {
  loaded: Loaded<unknown>;
  readonly receipts: Map<string, StoredReceipt>;
  readonly endedApprovals: Map<string, ApprovalEnd>;
}

/** Receipts and states kept folded, in all streams together: what bounds the memory of the cache. */
const defaultCapacity = 100_000;

/** Loads streams and folds them; keeps folded states and reads on from there, so that a busy stream is not folded from its start each time. */
export interface Aggregates {
  load<State, Event extends DomainEvent<string, object>>(stream: string, fold: Fold<State, Event>): Promise<Loaded<State>>;
}

export function createAggregates(store: Pick<EventStore, 'readStream'>, capacity: number = defaultCapacity): Aggregates {
  const entries = new Map<string, Entry>();
  let weight = 0;

  const weightOf = (entry: Entry): number => 1 + entry.receipts.size + entry.endedApprovals.size;

  function remember(stream: string, entry: Entry): void {
    entries.set(stream, entry);
    weight += weightOf(entry);
    if (weight > capacity) makeRoom(stream);
  }

  function makeRoom(kept: string): void {
    for (const [oldest, old] of entries) {
      if (weight <= capacity || oldest === kept) return;
      entries.delete(oldest);
      weight -= weightOf(old);
    }
  }

  function take(stream: string): Entry | undefined {
    const entry = entries.get(stream);
    if (entry === undefined) return undefined;
    entries.delete(stream);
    weight -= weightOf(entry);
    return entry;
  }

  return {
    async load<State, Event extends DomainEvent<string, object>>(stream: string, fold: Fold<State, Event>) {
      const from = nextRevision(entries.get(stream)?.loaded.expected ?? 'NO_STREAM');
      const events = await store.readStream(stream, from);
      const entry = take(stream) ?? empty(fold.initialState);
      // The entry we read on from was dropped meanwhile to make room; another load, which read earlier, may have made one anew: what is between is missing.
      if (nextRevision(entry.loaded.expected) < from) {
        remember(stream, entry);
        return await this.load(stream, fold);
      }
      // Another load may have moved the entry while we read: fold on what is there now, never twice.
      for (const event of events) if (event.revision >= nextRevision(entry.loaded.expected)) entry.loaded = foldOne(entry, event, fold);
      remember(stream, entry);
      return { ...entry.loaded, state: entry.loaded.state as State };
    },
  };
}

const nextRevision = (expected: ExpectedRevision): number => (expected === 'NO_STREAM' ? 0 : expected + 1);

function empty(initialState: unknown): Entry {
  const receipts = new Map<string, StoredReceipt>();
  const endedApprovals = new Map<string, ApprovalEnd>();
  return { receipts, endedApprovals, loaded: { state: initialState, revision: 0, expected: 'NO_STREAM', position: startOfLog, receipts, endedApprovals } };
}

function foldOne<State, Event extends DomainEvent<string, object>>(entry: Entry, recorded: RecordedEvent, fold: Fold<State, Event>): Loaded<unknown> {
  const { loaded } = entry;
  const at = { expected: recorded.revision, position: recorded.position };
  if (isLedgerEvent(recorded)) {
    foldLedger(entry, stored<LedgerEvent>(recorded));
    return { ...loaded, ...at };
  }
  return { ...loaded, ...at, revision: loaded.revision + 1, state: fold.evolve(loaded.state as State, stored<Event>(recorded)) };
}

function foldLedger({ receipts, endedApprovals }: Entry, event: Stored<LedgerEvent>): void {
  switch (event.type) {
    case 'CommandExecuted':
      receipts.set(event.data.commandId, { ...event.data, position: event.position });
      return;
    case 'ApprovalConsumed':
      endedApprovals.set(event.data.approvalId, { usedBy: event.data.commandId });
      return;
    case 'ApprovalFenced':
      if (!endedApprovals.has(event.data.approvalId)) endedApprovals.set(event.data.approvalId, 'fenced');
      return;
    case 'CommandClaimed':
      return;
  }
}
