import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { Secret } from '#kernel';
import { formatSigningSecret, signRoost, signStandard } from '#webhook-sender/signing';
import { emptyHome, kf, type KfRun, startOfTest } from '../../test/support/kf.ts';

const key = new Secret(new Uint8Array(32).fill(5));
const secret = formatSigningSecret(key).reveal();
const body = '{"id":"evt_1","type":"a.b","data":{"n":1.0,"größe":[1,2],"text":"a,b: \\"c\\""}}';
const nowSeconds = startOfTest / 1_000;

const signed = (given: string = body, timestampSeconds = nowSeconds, id = 'evt_1'): Record<string, string> => ({
  'webhook-id': id,
  'webhook-timestamp': String(timestampSeconds),
  'webhook-signature': signStandard({ id, timestampSeconds, body: given, keys: [key] }),
  'Roost-Signature': signRoost({ timestampSeconds, body: given, keys: [key] }),
});

const lines = (headers: Record<string, string>): string => Object.entries(headers).map(([name, value]) => `${name}: ${value}\n`).join('');

function verify(headers: string, received: string | Buffer = body, { stdin = secret } = {}): Promise<KfRun> {
  const home = emptyHome();
  writeFileSync(join(home, 'headers'), headers);
  writeFileSync(join(home, 'body'), received);
  return kf(['verify', '--secret-stdin', '--headers-file', join(home, 'headers'), '--body-file', join(home, 'body')], { stdin });
}

type Findings = readonly { readonly signature: string; readonly verdict: string; readonly detail: string }[];
const findingsOf = ({ out }: KfRun): Findings => (JSON.parse(out) as { findings: Findings }).findings;
const verdictsOf = (run: KfRun): readonly unknown[] => [run.code, ...findingsOf(run).map(({ verdict }) => verdict)];

describe('kf verify: a request whose signatures hold', () => {
  it.each([
    ['lines', lines(signed())],
    ['lines in capitals as they came, with other headers', ['POST /hooks?a=b HTTP/1.1', 'Host: example.com:3000', ...Object.entries(signed()).map(([name, value]) => `${name.toUpperCase()}:${value} `), '', ''].join('\r\n')],
    ['JSON', JSON.stringify(signed())],
    ['JSON as servers keep it', JSON.stringify({ host: 'x', ...Object.fromEntries(Object.entries(signed()).map(([name, value]) => [name.toLowerCase(), [value]])) })],
  ])('exits with 0: headers as %s', async (_case, headers) => {
    const run = await verify(headers);
    expect([...verdictsOf(run), run.err]).toEqual([0, 'valid', 'valid', '']);
    expect(JSON.parse(run.out)).toMatchObject({ valid: true });
  });

  it('exits with 0: one of the two signatures alone, also one of another library', async () => {
    const { 'Roost-Signature': roost, ...standard } = signed();
    expect(verdictsOf(await verify(lines(standard)))).toEqual([0, 'valid', 'absent']);
    expect(verdictsOf(await verify(lines({ 'roost-signature': roost ?? '' })))).toEqual([0, 'absent', 'valid']);
    const theirs = new Webhook(secret).sign('msg_1', new Date(startOfTest), body);
    expect(verdictsOf(await verify(lines({ 'webhook-id': 'msg_1', 'webhook-timestamp': String(nowSeconds), 'webhook-signature': theirs })))).toEqual([0, 'valid', 'absent']);
  });

  it('a body that is not text', async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x0a, 0xfe]);
    expect(verdictsOf(await verify(lines({ 'Roost-Signature': signRoost({ timestampSeconds: nowSeconds, body: bytes, keys: [key] }) }), bytes))).toEqual([0, 'absent', 'valid']);
  });
});

describe('kf verify: a request whose signatures do not hold', () => {
  it('another secret', async () => {
    const run = await verify(lines(signed()), body, { stdin: `whsec_${Buffer.alloc(32, 6).toString('base64')}\n` });
    expect(verdictsOf(run)).toEqual([1, 'wrong-secret', 'wrong-secret']);
    expect(run.err).toBe('error: the request does not verify\n');
  });

  it.each([
    [-301, 'too-old', '5 min 1 s old, too old by 1 s: receivers take 5 min. The secret and the body are right: it was valid at 2026-11-02T09:54:59.000Z'],
    [-90_000, 'too-old', '1 d 1 h old, too old by 1 d 55 min: receivers take 5 min. The secret and the body are right: it was valid at 2026-11-01T09:00:00.000Z'],
    [360, 'too-new', '6 min ahead of this clock, too far by 1 min: receivers take 5 min. The secret and the body are right: is a clock wrong?'],
  ])('a timestamp %i s away', async (away, verdict, detail) => {
    const run = await verify(lines(signed(body, nowSeconds + away)));
    expect([run.code, ...findingsOf(run)]).toEqual([1, { signature: 'webhook-signature', verdict, detail }, { signature: 'Roost-Signature', verdict, detail }]);
  });

  const pretty = '{\r\n  "a": 1,\r\n  "b": 2\r\n}';
  it.each([
    ['a line end was added to the body', body, `${body}\n`],
    ['a line end was added to the body', body, `${body}\r\n`],
    ['a line end was added to the body', `${body}\n`, `${body}\n\n`],
    ['a line end was taken from the end of the body', `${body}\n`, body],
    ['a line end was taken from the end of the body', `${body}\r\n`, body],
    ['line ends of the body became LF', pretty, pretty.replaceAll('\r', '')],
    ['line ends of the body became CR LF', pretty.replaceAll('\r', ''), pretty],
    ['a byte order mark was put before the body', body, `\uFEFF${body}`],
    ['the JSON of the body was parsed and printed again', body, '{\n  "id": "evt_1",\n  "type": "a.b",\n  "data": { "n": 1.0, "gr\\u00f6\\u00dfe": [1, 2], "text": "a,b: \\"c\\"" }\n}'],
    ['the JSON of the body was parsed and printed again', '{"a": [1, 2.0], "b": "x,y:z"}', '{"a":[1,2.0],"b":"x,y:z"}'],
    ['the JSON of the body was parsed and printed again', '{"a":"\\u00f6"}', '{"a":"ö"}'],
    ['the JSON of the body was parsed and printed again', '{\n    "a": 1\n}', '{"a":1}'],
  ])('%s', async (words, original, received) => {
    const run = await verify(lines(signed(original)), received);
    const detail = `the secret is right, but ${words}. Verify the bytes as they came, before anything parses or prints them`;
    expect(findingsOf(run).map((finding) => [finding.verdict, finding.detail])).toEqual([['body-changed', detail], ['body-changed', detail]]);
    expect(run.code).toBe(1);
  });

  it.each([
    ['another webhook-id', { 'webhook-id': 'evt_2' }, ['header-changed', 'valid']],
    ['another webhook-timestamp', { 'webhook-timestamp': String(nowSeconds - 1) }, ['header-changed', 'valid']],
    ['another t=', { 'Roost-Signature': signed()['Roost-Signature']?.replace(String(nowSeconds), String(nowSeconds - 1)) ?? '' }, ['valid', 'header-changed']],
    ['a signature cut short', { 'webhook-signature': signed()['webhook-signature']?.slice(0, 20) ?? '' }, ['header-changed', 'valid']],
    ['another version of signatures', { 'webhook-signature': 'v2,AAAA' }, ['malformed', 'valid']],
    ['no hexadecimal', { 'Roost-Signature': `t=${nowSeconds},v1=x` }, ['valid', 'malformed']],
    ['no t=', { 'Roost-Signature': 'v1=x' }, ['valid', 'malformed']],
    ['milliseconds', { 'webhook-timestamp': String(startOfTest) }, ['malformed', 'valid']],
  ])('%s', async (_case, change, verdicts) => expect(verdictsOf(await verify(lines({ ...signed(), ...change })))).toEqual([1, ...verdicts]));

  it.each([
    [{ 'webhook-timestamp': String(startOfTest) }, 'webhook-timestamp counts milliseconds; it must be seconds since 1970'],
    [{ 'webhook-timestamp': 'soon' }, 'webhook-timestamp is no number of seconds since 1970'],
    [{ 'webhook-signature': 'v2,AAAA' }, 'there is no v1,<base64> in it'],
  ])('%p says what is wrong', async (change, detail) => expect(findingsOf(await verify(lines({ ...signed(), ...change })))[0]?.detail).toBe(detail));

  it('without a webhook-id says that it is signed too', async () => {
    const { 'webhook-id': _id, ...headers } = signed();
    expect(findingsOf(await verify(lines(headers)))[0]).toEqual({ signature: 'webhook-signature', verdict: 'malformed', detail: 'webhook-id is not there, and is part of what is signed' });
  });

  it('no signature at all', async () => expect(verdictsOf(await verify('host: example.com\n'))).toEqual([1, 'absent', 'absent']));

  it('is told in words on a terminal', async () => {
    const home = emptyHome();
    writeFileSync(join(home, 'h'), lines(signed()));
    writeFileSync(join(home, 'b'), body);
    const { out } = await kf(['verify', '--secret-stdin', '--headers-file', join(home, 'h'), '--body-file', join(home, 'b')], { stdin: secret, tty: { stdout: true } });
    expect(out).toBe('webhook-signature: valid: made with this secret over this body\nRoost-Signature: valid: made with this secret over this body\n');
  });
});

describe('kf verify: input that can not be read', () => {
  it.each([
    ['a line that is no header', 'webhook-id evt_1\n', secret, '--headers-file: line 1 is no header: expected "Name: value", or a JSON object of headers'],
    ['JSON that is no object', '[1]', secret, '--headers-file: expected a JSON object of headers, or lines of "Name: value"'],
    ['a secret that is none', lines(signed()), 'hunter2', '--secret-stdin: expected a signing secret: whsec_ and the base64, with its padding, of 24 to 64 bytes'],
    ['no secret', lines(signed()), '', '--secret-stdin: expected a signing secret'],
  ])('%s exits with 2', async (_case, headers, stdin, issue) => {
    const { code, out, err } = await verify(headers, body, { stdin });
    expect([code, out, err.includes(issue), err.includes('hunter2')]).toEqual([2, '', true, false]);
  });

  it('a file that is not there exits with 2', async () => {
    const { code, err } = await kf(['verify', '--secret-stdin', '--headers-file', '/nowhere/h', '--body-file', '/nowhere/b'], { stdin: secret });
    expect([code, err.includes("--headers-file: /nowhere/h can't be read")]).toEqual([2, true]);
  });

  it('flags that are missing exit with 2', async () => expect((await kf(['verify'])).code).toBe(2));
});
