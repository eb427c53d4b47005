import { Controller, Get, Inject, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { comparePositions, isPosition, isRefusal, type Position, startOfLog } from '#kernel';
import type { Replay } from '#read-models';
import { ForSite } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { EventStreams, type StreamMessage } from '../http/event-stream.ts';
import { Takes } from '../http/parameters.ts';
import { invalid, Problem, problemOf } from '../http/problem.ts';
import { LOG_READER, type LogReader, PROJECTIONS, type Projections } from '../parts.ts';

const description = `Folds the whole log, of all sites, from its start into a scratch model, in a thread of its own and without disturbing the live read models,
and compares what comes out with them. The answer is a stream of server-sent events: \`connected\` once, \`progress\` about twice a second with
\`{position, head, events}\`, and at last \`result\` with \`{position, events, digest, livePosition, liveDigest, equal}\`. A client that leaves ends it.

Without \`to\` it goes as far as the live read models have come by then, and \`equal\` says whether both are the same, row by row. With \`to\` it ends there; \`equal\` and
\`liveDigest\` are null unless the live ones stand at the same place (nothing that read models are made of came between). Transcripts that the log may have dropped
after \`KF_HISTORY_DAYS\` are in neither digest. After a change of \`KF_HISTORY_DAYS\` the two can differ until the read models are made anew, because they have dropped
history by the old number.

One at a time in a process: 409 \`concurrent-modification\`. 503 \`projection-behind\` while the read models are made anew for another version of the program.`;

/** What comes of the log when it is folded again. */
@Controller('api/audit/replay')
export class ReplayController {
  constructor(
    @Inject(PROJECTIONS) private readonly projections: Projections,
    @Inject(LOG_READER) private readonly log: LogReader,
    private readonly streams: EventStreams,
  ) {}

  @Get()
  @ForSite('audit')
  @Takes('siteId', 'replayTo')
  @Describe({
    tag: 'Audit',
    operationId: 'replayLog',
    summary: 'Fold the log from its start, and compare with the live read models',
    description,
    answer: { mediaType: 'text/event-stream' },
    problems: ['position-unknown', 'concurrent-modification', 'projection-behind', 'too-many-streams'],
  })
  async replay(@Query('to') to: string | undefined, @Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const head = await this.log.head();
    if (to !== undefined) refuseUnknown(to, head);
    const replay = this.projections.replay(to);
    if (isRefusal(replay)) throw problemOf(replay);
    try {
      const connected = { data: JSON.stringify({ position: startOfLog, head: to ?? head }) };
      await this.streams.answer(request, reply, { connected, messages: (signal) => messagesOf(replay, signal) });
    } finally {
      await replay.end();
    }
  }
}

function refuseUnknown(to: string, head: Position): void {
  if (!isPosition(to)) throw invalid('to', 'must be a position as an answer gave it: decimal digits');
  if (comparePositions(to, head) > 0) throw new Problem('position-unknown', `The log ends at ${head}; position ${to} is not in it.`, { head });
}

async function* messagesOf(replay: Replay, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  for await (const { kind, ...step } of replay.steps(signal)) yield { event: kind, data: JSON.stringify(step) };
}
