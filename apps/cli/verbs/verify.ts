import { diagnose } from '../diagnosis.ts';
import { required } from '../flags.ts';
import { text, yesOrNo } from '../forms.ts';
import { readFileBytes, readFileText, readSigningKey } from '../input.ts';
import { Failed, UsageError } from '../io.ts';
import { isRecord, readJson } from '../json.ts';
import type { View } from '../output.ts';
import { paint } from '../table.ts';
import { visible } from '../text.ts';
import { verb } from '../verb.ts';

const path = text(4_096);

export const verify = verb({
  name: 'verify',
  summary: 'Say why the signatures of a received request hold, or do not',
  details:
    'Looks at webhook-signature (with webhook-id and webhook-timestamp) and at Roost-Signature. Tells a wrong secret from a timestamp that is too old and from a body that was changed on its way: a line end more or less, CR LF, JSON that was printed again. ' +
    'The headers are lines of "Name: value" or a JSON object, in any letter case; the body must be the bytes as they came. Nothing is sent anywhere, and no server is needed. Exits 0 when all signatures that are there hold, 1 when not, 2 when the files can not be read.',
  examples: ['kf verify --secret-stdin --headers-file headers.txt --body-file body.json < secret.txt'],
  withoutProfile: true,
  flags: {
    secretStdin: required('--secret-stdin', yesOrNo, 'read the signing secret (whsec_…) from standard input'),
    headersFile: required('--headers-file <file>', path, 'the headers of the request'),
    bodyFile: required('--body-file <file>', path, 'its body'),
  },
  run: async ({ io, output }, { headersFile, bodyFile }) => {
    const received = { headers: headersOf(readFileText(headersFile, '--headers-file')), body: readFileBytes(bodyFile, '--body-file') };
    const diagnosis = diagnose(received, await readSigningKey(io, '--secret-stdin'), io.clock.now());
    output.answer({ text: JSON.stringify(diagnosis), body: { ...diagnosis } }, viewOf(diagnosis));
    if (!diagnosis.valid) throw new Failed('the request does not verify');
  },
});

/** Headers by their names in lower case. Throws a UsageError when they are in neither form. */
function headersOf(given: string): ReadonlyMap<string, string> {
  const json = readJson(given);
  const entries = json === undefined ? linesOf(given) : membersOf(json);
  return new Map(entries.map(([name, value]) => [name.toLowerCase(), value.trim()]));
}

function membersOf(json: unknown): readonly (readonly [string, string])[] {
  if (!isRecord(json)) throw new UsageError(['--headers-file: expected a JSON object of headers, or lines of "Name: value"']);
  return Object.entries(json).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : String(value)]);
}

const requestLine = /^[A-Z]+ \S+ HTTP\/[\d.]+$/;

function linesOf(given: string): readonly (readonly [string, string])[] {
  return given.split(/\r\n|\r|\n/).flatMap((line, index) => {
    if (line.trim() === '' || requestLine.test(line)) return [];
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) throw new UsageError([`--headers-file: line ${index + 1} is no header: expected "Name: value", or a JSON object of headers`]);
    return [[name, value] as const];
  });
}

const viewOf = ({ findings }: ReturnType<typeof diagnose>): View => ({
  table: (_body, look) => findings.map(({ signature, verdict, detail }) => `${signature}: ${paint(look, colourOf[verdict] ?? 'red', verdict)}: ${visible(detail)}`).join('\n'),
  essentials: () => findings.map(({ verdict }) => verdict),
});

const colourOf: Readonly<Record<string, 'green' | 'dim'>> = { valid: 'green', absent: 'dim' };
