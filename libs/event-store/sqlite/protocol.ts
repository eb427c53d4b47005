/** What the main thread and the storage thread say to each other: arrays of these, one message per turn of the event loop. */
export interface AppendRequest {
  readonly op: 'append';
  readonly seq: number;
  readonly stream: string;
  /** -1: no stream. */
  readonly expected: number;
  /** id, type, data, metadata of each event, one after the other: flat, because copying between threads costs by object. */
  readonly events: readonly string[];
}

/** Appends of one event each. */
export interface AppendEachRequest {
  readonly op: 'appendEach';
  readonly seq: number;
  /** stream, expected revision, id, type, data, metadata of each, one after the other. */
  readonly appends: readonly (string | number)[];
}

export const columnsPerAppend = 6;

/** Appends of which each is only written when the one before it was, or had been. */
export interface AppendInTurnRequest {
  readonly op: 'appendInTurn';
  readonly seq: number;
  readonly appends: readonly Pick<AppendRequest, 'stream' | 'expected' | 'events'>[];
}

export interface ReadStreamRequest {
  readonly op: 'readStream';
  readonly seq: number;
  readonly stream: string;
  readonly from: number;
  readonly limit: number;
}

export interface ReadAllRequest {
  readonly op: 'readAll';
  readonly seq: number;
  readonly after: number;
  readonly prefixes: readonly string[] | undefined;
  readonly limit: number;
}

export interface TombstoneRequest {
  readonly op: 'tombstone';
  readonly seq: number;
  readonly stream: string;
}

export interface RemovalsRequest {
  readonly op: 'removals';
  readonly seq: number;
}

/** Copy the whole log into a new file; one at a time. */
export interface CopyRequest {
  readonly op: 'copy';
  readonly seq: number;
  readonly file: string;
}

export interface StopCopyRequest {
  readonly op: 'stopCopy';
}

export interface CloseRequest {
  readonly op: 'close';
}

export type ReadRequest = ReadStreamRequest | ReadAllRequest;
export type Writing = AppendRequest | AppendEachRequest | AppendInTurnRequest;
export type Question = Writing | ReadRequest | TombstoneRequest | RemovalsRequest | CopyRequest;
export type Request = Question | StopCopyRequest | CloseRequest;

/** position, revision, stream, id, type, data, metadata of each event, one after the other. */
export type FlatEvents = readonly (string | number)[];
export const columnsPerEvent = 7;

export interface Appended {
  readonly done: 'appended';
  readonly revision: number;
  readonly position: number;
  /** False for a repeat of an append that stands there already. */
  readonly written: boolean;
}

/** What each append came to: how it ended, and the revision and position as `Appended` has them; of a conflict the stream's revision instead. */
export interface AppendedEach {
  readonly done: 'appended-each';
  readonly ends: readonly number[];
}

export const columnsPerEnd = 3;
export const ended = { written: 0, repeated: 1, conflict: 2, tombstoned: 3 } as const;

/** What one append comes to, judged against what stands there. */
export type Appending = Appended | Extract<Refused, { refused: 'conflict' | 'tombstoned' }>;

/** What each append came to; nothing follows one that was refused. */
export interface AppendedInTurn {
  readonly done: 'appended-in-turn';
  readonly ends: readonly Appending[];
}

export interface Read {
  readonly done: 'read';
  readonly events: FlatEvents;
  readonly position: number;
  readonly caughtUp: boolean;
}

export interface Tombstoned {
  readonly done: 'tombstoned';
  /** The head of the log after it. */
  readonly head: number;
}

export interface Removals {
  readonly done: 'removals';
  readonly streams: readonly string[];
}

export interface Copied {
  readonly done: 'copied';
  /** The head of the log as it stands in the copy. */
  readonly head: number;
  readonly bytes: number;
}

export type Refused =
  | { readonly refused: 'conflict'; readonly current: number }
  | { readonly refused: 'tombstoned' }
  | { readonly refused: 'unavailable'; readonly reason: string }
  | { readonly refused: 'unknown'; readonly reason: string };

export type Answer = Appended | AppendedEach | AppendedInTurn | Read | Tombstoned | Removals | Copied | Refused;

export interface Commit {
  readonly events: number;
  readonly appends: number;
  readonly durationMs: number;
}

/** `seqs[i]` is answered by `answers[i]`. */
export interface Answers {
  readonly kind: 'answers';
  readonly seqs: readonly number[];
  readonly answers: readonly Answer[];
  readonly commit?: Commit | undefined;
}

/** How far the copy is. */
export interface Copying {
  readonly kind: 'copying';
  readonly bytes: number;
  readonly totalBytes: number;
}

export type OpeningRefused =
  | { readonly kind: 'refused'; readonly why: 'in-use' }
  | { readonly kind: 'refused'; readonly why: 'newer'; readonly version: number; readonly known: number }
  | { readonly kind: 'refused'; readonly why: 'failed'; readonly reason: string };

export type Opening = { readonly kind: 'opened'; readonly head: number } | OpeningRefused;

/** After this the thread answers nothing more: whether the last commit is on disk is not known. */
export interface Fatal {
  readonly kind: 'fatal';
  readonly reason: string;
}

export type Report = Answers | Copying | Opening | Fatal;
