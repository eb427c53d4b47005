import { Controller, Get, Header, Param, Post, Req, Res, StreamableFile } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isRefusal } from '#kernel';
import { noSuchThing } from '../access/authorize.ts';
import { ForTheWholeLog } from '../access/routes.ts';
import { Describe } from '../http/describe.ts';
import { EventStreams, type StreamMessage } from '../http/event-stream.ts';
import { problemBody, problemOf } from '../http/problem.ts';
import { type Backup, Backups } from '../parts.ts';

const description = `Copies the log while the server goes on. The answer is a stream of server-sent events: \`connected\` once with \`{backupId}\`, \`progress\` a few times a second with
\`{bytes, totalBytes}\`, and then \`result\` with \`{backupId, position, bytes}\`, or \`failed\` with the problem \`backup-failed\`. After \`result\` the copy can be fetched
with \`GET /api/backups/{backupId}\` for as long as this stream is open: it is removed when the stream ends, and a client that leaves ends it.
Everything that was acknowledged up to \`position\` is in the copy.

The copy is made beside the log, so it needs as much room there as the log, and 64 MiB to spare; else 507 \`backup-failed\`, and nothing is left. One at a time:
409 \`concurrent-modification\`. The copy holds what every site has published and every sealed signing secret, but not the master key that opens them: keep
\`master.key\` (or \`KF_MASTER_KEY\`) elsewhere.`;

const content = `An SQLite file, as long as \`Content-Length\` says. As \`events.db\` in a data folder of its own, with the same master key, a server starts on it.`;

/** Copies of the log for whoever may have all of it. */
@Controller('api/backups')
export class BackupsController {
  constructor(
    private readonly backups: Backups,
    private readonly streams: EventStreams,
  ) {}

  @Post()
  @ForTheWholeLog()
  @Describe({
    tag: 'Operations',
    operationId: 'makeBackup',
    summary: 'Copy the log while the server runs',
    description,
    answer: { mediaType: 'text/event-stream' },
    problems: ['concurrent-modification', 'too-many-streams', 'backup-failed'],
  })
  async make(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const backup = await this.backups.begin();
    if (isRefusal(backup)) throw problemOf(backup);
    try {
      await this.streams.answer(request, reply, { connected: { data: JSON.stringify({ backupId: backup.id }) }, messages: (signal) => messagesOf(backup, signal) });
    } finally {
      backup.end();
    }
  }

  @Get(':backupId')
  @ForTheWholeLog()
  @Header('Cache-Control', 'no-store')
  @Describe({ tag: 'Operations', operationId: 'getBackup', summary: 'The copy of the log that was just made', description: content, answer: { mediaType: 'application/vnd.sqlite3' }, problems: ['not-found'] })
  async get(@Param('backupId') backupId: string): Promise<StreamableFile> {
    const copy = await this.backups.content(backupId);
    if (copy === undefined) throw noSuchThing();
    return new StreamableFile(copy.body, { type: 'application/vnd.sqlite3', length: copy.bytes });
  }
}

async function* messagesOf(backup: Backup, signal: AbortSignal): AsyncGenerator<StreamMessage> {
  for await (const { kind, ...step } of backup.steps(signal)) {
    yield { event: kind, data: JSON.stringify('refusal' in step ? problemBody(problemOf(step.refusal)) : step) };
    if (kind === 'failed') return;
  }
}
