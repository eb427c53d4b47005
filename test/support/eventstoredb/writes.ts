import type { IStreamsServer } from '@eventstore/db-client/generated/streams_grpc_pb.js';
import type { Metadata, StatusObject } from '@grpc/grpc-js';
import type { EventLog, Outcome, ProposedEvent } from './log.ts';
import * as messages from './messages.ts';
import type { Misbehaviour } from './misbehaviour.ts';
import { type Failure, failedAppend, failedCall, refusedAppend, refusedCall } from './refusals.ts';

const asksForLeader = (metadata: Metadata): boolean => metadata.get('requires-leader').includes('true');
const succeeded = (outcome: Outcome): outcome is Exclude<Outcome, Failure> => outcome.kind === 'written' || outcome.kind === 'repeated';

/** One append of a batch while its parts arrive. */
interface Batch {
  readonly options: NonNullable<ReturnType<messages.BatchAppendReq['getOptions']>>;
  readonly events: ProposedEvent[];
}

/** The part of the service `Streams` that writes. */
export function writesTo(log: EventLog, misbehave: Misbehaviour): Pick<IStreamsServer, 'batchAppend' | 'append' | 'delete' | 'tombstone'> {
  return {
    batchAppend(call) {
      const batches = new Map<string, Batch>();
      misbehave.appendCalls.add(call);
      const over = (): void => void misbehave.appendCalls.delete(call);
      const drop = (as: StatusObject): void => void call.emit('error', as);
      call.on('cancelled', over).on('error', over);
      call.on('end', () => {
        over();
        call.end();
      });
      call.on('data', (part: messages.BatchAppendReq) => {
        const complete = collect(batches, part);
        if (complete !== undefined) appendBatch(part, complete, asksForLeader(call.metadata), drop);
      });

      function appendBatch(part: messages.BatchAppendReq, batch: Batch, requiresLeader: boolean, end: (as: StatusObject) => void): void {
        const name = messages.nameOf(batch.options.getStreamIdentifier());
        const answer = (response: messages.BatchAppendResp): void => {
          if (misbehave.appendCalls.has(call)) call.write(response.setCorrelationId(part.getCorrelationId()).setStreamIdentifier(batch.options.getStreamIdentifier()));
        };
        const refusal = misbehave.refusalOf('write', requiresLeader);
        if (refusal !== undefined) {
          const refused = refusedAppend(refusal);
          if (refused === undefined) end(refusedCall(refusal));
          else answer(messages.batchFailed(refused));
          return;
        }
        misbehave.write(
          () => appendInTime(log, name, batch),
          (outcome) => answer(succeeded(outcome) ? messages.batchAppended(outcome) : messages.batchFailed(failedAppend(outcome, name))),
          end,
        );
      }
    },

    append(call, answer) {
      let options: ReturnType<messages.AppendReq['getOptions']>;
      const events: ProposedEvent[] = [];
      call.on('data', (part: messages.AppendReq) => {
        options ??= part.getOptions();
        const message = part.getProposedMessage();
        if (message !== undefined) events.push(messages.proposedOf(message));
      });
      // A client that dies ends its stream too, and is known to be gone a moment later: of what it has not sent to the end nothing is written.
      call.on('end', () => setImmediate(() => {
        if (!call.cancelled) whole();
      }));

      function whole(): void {
        const name = messages.nameOf(options?.getStreamIdentifier());
        const refusal = misbehave.refusalOf('write', asksForLeader(call.metadata));
        if (refusal !== undefined) {
          answer(refusedCall(refusal));
          return;
        }
        misbehave.write(
          () => log.append(name, messages.expectedOf(options), events),
          (outcome) => {
            if (succeeded(outcome)) answer(null, messages.appended(outcome));
            else if (outcome.kind === 'wrong-expected-version') answer(null, messages.appendConflict(outcome));
            else answer(failedCall(outcome, name));
          },
          answer,
        );
      }
    },

    delete(call, answer) {
      const options = call.request.getOptions();
      remove(call.metadata, messages.nameOf(options?.getStreamIdentifier()), (name) => log.softDelete(name, messages.expectedOf(options)), answer, messages.deleted);
    },

    tombstone(call, answer) {
      const options = call.request.getOptions();
      remove(call.metadata, messages.nameOf(options?.getStreamIdentifier()), (name) => log.tombstone(name, messages.expectedOf(options)), answer, messages.tombstoned);
    },
  };

  function remove<R>(
    metadata: Metadata,
    name: string,
    perform: (name: string) => Outcome,
    answer: (error: StatusObject | null, response?: R) => void,
    responseOf: (position: bigint) => R,
  ): void {
    const refusal = misbehave.refusalOf('write', asksForLeader(metadata));
    if (refusal !== undefined) {
      answer(refusedCall(refusal));
      return;
    }
    misbehave.write(
      () => perform(name),
      (outcome) => {
        if (succeeded(outcome)) answer(null, responseOf('position' in outcome ? outcome.position : log.head));
        else answer(failedCall(outcome, name));
      },
      answer,
    );
  }
}

/** The batch once its last part is there. */
function collect(batches: Map<string, Batch>, part: messages.BatchAppendReq): Batch | undefined {
  const id = messages.uuidOf(part.getCorrelationId());
  const options = part.getOptions();
  const batch = batches.get(id) ?? (options === undefined ? undefined : { options, events: [] });
  if (batch === undefined) return undefined;
  batches.set(id, batch);
  batch.events.push(...part.getProposedMessagesList().map(messages.proposedOf));
  if (!part.getIsFinal()) return undefined;
  batches.delete(id);
  return batch;
}

/** The deadline is a time of the client's clock, compared with the server's. */
function appendInTime(log: EventLog, name: string, { options, events }: Batch): Outcome {
  const deadline = options.getDeadline()?.toDate();
  if (deadline !== undefined && deadline.getTime() <= log.nowMs()) return { kind: 'too-late' };
  return log.append(name, messages.expectedOfBatch(options), events);
}
