import { commandVerb } from '../command.ts';
import { optional, required, toggle } from '../flags.ts';
import { eventType, json, key } from '../forms.ts';
import { readInput } from '../input.ts';
import { type Io, UsageError } from '../io.ts';
import { JsonText } from '../json.ts';
import { group, type Part } from '../verb.ts';

const maxDataBytes = 262_144;

const publish = commandVerb({
  name: 'publish',
  commandType: 'PublishEvent',
  summary: 'Publish an event to everybody who subscribed to its type',
  details:
    'The data is sent byte for byte, so 9007199254740993 and 1.0 arrive as typed. The event id is the idempotency key: ' +
    'publishing the same id again publishes nothing. At most 256 KiB of data.',
  examples: [
    `kf event publish --tenant tnt_demo --actor-type SERVICE --actor-id registry --type version.published --data '{"version":"1.4.0"}'`,
    'kf event publish --tenant tnt_demo --actor-type SERVICE --actor-id registry --type claim.filed --event-id claim-4711 --data-stdin < claim.json',
  ],
  flags: {
    type: required('--type <type>', eventType, 'the dotted type, for example version.published'),
    data: optional('--data <json>', json, 'the data as JSON text'),
    dataStdin: toggle('--data-stdin', 'read the data from standard input'),
    eventId: optional('--event-id <id>', key, "the event's id; else the idempotency key, else generated"),
  },
  ask: async ({ type, data, dataStdin, eventId }, { io }, { idempotencyKey }) => {
    if (eventId !== undefined && idempotencyKey !== undefined && eventId !== idempotencyKey) {
      throw new UsageError(['--event-id and --idempotency-key are the same thing for an event: give one, or both alike']);
    }
    return { payload: { eventId, type, data: await dataOf(data, dataStdin, io) }, idempotencyKey: eventId };
  },
});

async function dataOf(given: JsonText | undefined, fromStdin: boolean, io: Io): Promise<JsonText> {
  if ((given === undefined) === !fromStdin) throw new UsageError(['give the data with either --data <json> or --data-stdin']);
  const data = given ?? JsonText.of(await readInput(io, '--data-stdin'));
  if (data === undefined) throw new UsageError([`--data-stdin: expected ${json.expected}`]);
  const bytes = Buffer.byteLength(data.text);
  if (bytes > maxDataBytes) throw new UsageError([`the data has ${bytes} bytes: expected at most ${maxDataBytes}`]);
  return data;
}

export const event: Part = group('event', 'Business events', [publish]);
