import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyHome, type FakeApi, kf, type KfRun, startFakeApi, words } from '../../test/support/kf.ts';

let api: FakeApi;
let home: string;
beforeEach(async () => {
  api = await startFakeApi();
  home = emptyHome();
});
afterEach(() => api.close());

const at = (line: string, variables: Readonly<Record<string, string>> = {}, tty = {}): Promise<KfRun> => kf(words(line), { variables: { XDG_CONFIG_HOME: home, KF_DATA_DIR: join(home, 'data'), ...variables }, tty });
const file = (): string => join(home, 'kf', 'config.json');
const pause = 'webhook pause-subscription --webhook-subscription-id whs_1';

describe('kf profile', () => {
  it('set keeps a profile in a file that only its owner can read, and never prints the key', async () => {
    const { code, out, err } = await at('profile set demo --server http://127.0.0.1:9 --api-key kf_secret --site tnt_demo --actor USER:usr_sam --environment production');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ name: 'demo', current: true, server: 'http://127.0.0.1:9', environment: 'production', site: 'tnt_demo', actor: 'USER:usr_sam', hasApiKey: true });
    expect(out + err).not.toContain('kf_secret');
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(readFileSync(file(), 'utf8')).toContain('kf_secret');
  });

  it('set makes the file private also where it, or one left over by a crash, was open', async () => {
    mkdirSync(join(home, 'kf'));
    writeFileSync(file(), '{"profiles":{}}', { mode: 0o644 });
    writeFileSync(`${file()}.new`, 'left over', { mode: 0o644 });
    await at('profile set demo --api-key kf_secret');
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it('set changes what is given and keeps the rest; use, list and show tell, without keys', async () => {
    await at('profile set demo --server http://127.0.0.1:9 --api-key kf_secret');
    await at('profile set prod --server https://kf.example.com');
    await at('profile set demo --site tnt_demo');
    expect(JSON.parse((await at('profile show demo')).out)).toEqual({ name: 'demo', current: true, server: 'http://127.0.0.1:9', site: 'tnt_demo', hasApiKey: true });
    expect((await at('profile use prod')).code).toBe(0);
    expect(JSON.parse((await at('profile show')).out)).toMatchObject({ name: 'prod', current: true, hasApiKey: false });
    const list = await at('profile list', {}, { stdout: true });
    expect(list.out).toMatch(/^NAME +CURRENT +SERVER +SITE +ENVIRONMENT +ACTOR +API KEY$/m);
    expect(list.out).toMatch(/^demo +false +http:\/\/127\.0\.0\.1:9 +tnt_demo +- +- +true$/m);
    expect((await at('profile list --quiet')).out).toBe('demo\nprod\n');
    expect((await at('profile list --output jsonl')).out.trimEnd().split('\n')).toHaveLength(2);
    expect(list.out).not.toContain('kf_secret');
  });

  it.each([
    ['profile set demo', 'nothing to set'],
    ['profile set Demo --site t', '<name>: expected 1 to 63'],
    ['profile set demo --site t.staging --environment production', '--site t.staging is environment staging'],
    ['profile set demo --site T', '--site: expected a site'],
    ['profile set demo --server ftp://x', '--server: expected'],
    ['profile set demo --actor sam', '--actor: expected TYPE:ID'],
    ['profile use nobody', 'there is no profile "nobody"'],
    ['profile show', 'there is no current profile'],
    ['profile set', "missing required argument 'name'"],
  ])('refuses "%s"', async (line, message) => {
    const { code, err } = await at(line);
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  it('refuses a malformed API key without repeating it', async () => {
    const { code, err } = await kf(['profile', 'set', 'demo', '--api-key', 'kf_se cret'], { variables: { XDG_CONFIG_HOME: home } });
    expect(code).toBe(2);
    expect(err).toContain('--api-key: expected');
    expect(err).not.toContain('cret');
  });

  it('refuses a damaged file without quoting it', async () => {
    mkdirSync(join(home, 'kf'));
    writeFileSync(file(), '{"profiles":{"demo":{"apiKey":"kf_secret"');
    const { code, err } = await at('whoami', { KF_SERVER: api.url });
    expect(code).toBe(2);
    expect(err).toContain('is not a JSON object');
    expect(err).not.toContain('kf_secret');
  });
});

describe('what a profile gives', () => {
  const setUp = async (): Promise<void> => void (await at(`profile set demo --server ${api.url} --api-key kf_profile --site tnt_demo.staging --actor USER:usr_sam`));

  it('is used where nothing is typed: server, key, site and actor', async () => {
    await setUp();
    expect((await at(pause)).code).toBe(0);
    expect(api.requests[0]?.headers.authorization).toBe('Bearer kf_profile');
    expect(api.requests[0]?.body).toMatchObject({ tenant: 'tnt_demo', environment: 'staging', actor: { type: 'USER', id: 'usr_sam' } });
  });

  it('gives way to flags and to the environment', async () => {
    await setUp();
    await at(`${pause} --tenant other --environment qa --actor-type SERVICE --actor-id ci`, { KF_API_KEY: 'kf_env' });
    expect(api.requests[0]?.headers.authorization).toBe('Bearer kf_env');
    expect(api.requests[0]?.body).toMatchObject({ tenant: 'other', environment: 'qa', actor: { type: 'SERVICE', id: 'ci' } });
    await at(`${pause} --api-key kf_flag`, { KF_API_KEY: 'kf_env' });
    expect(api.requests[1]?.headers.authorization).toBe('Bearer kf_flag');
  });

  it('gives its environment to another tenant', async () => {
    await setUp();
    await at(`${pause} --tenant other`);
    expect(api.requests[0]?.body).toMatchObject({ tenant: 'other', environment: 'staging' });
  });

  it('does not complete half an actor with its own', async () => {
    await setUp();
    const { code, err } = await at(`${pause} --actor-id somebody`);
    expect(code).toBe(2);
    expect(err).toContain('--actor-type <type> is required');
  });

  it('is chosen by --profile, then KF_PROFILE, then as the current one', async () => {
    await setUp();
    await at('profile set other --api-key kf_other');
    await at('whoami --profile other', { KF_SERVER: api.url, KF_PROFILE: 'demo' });
    await at('whoami', { KF_SERVER: api.url, KF_PROFILE: 'other' });
    await at('whoami');
    expect(api.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer kf_other', 'Bearer kf_other', 'Bearer kf_profile']);
  });

  it('must exist when it is named', async () => {
    await setUp();
    expect(await at('whoami --profile nobody')).toMatchObject({ code: 2, err: expect.stringContaining('--profile: there is no profile "nobody" (there: demo)') });
    expect(await at('whoami', { KF_PROFILE: 'nobody' })).toMatchObject({ code: 2, err: expect.stringContaining('KF_PROFILE: there is no profile') });
    expect(api.requests).toHaveLength(0);
  });
});

describe('the key when none is configured', () => {
  const withRootKey = (): void => {
    mkdirSync(join(home, 'data'));
    writeFileSync(join(home, 'data', 'root.key'), 'kf_root\n');
  };

  it('is the root key of a server on this machine, and that is said', async () => {
    withRootKey();
    const { err } = await at('whoami', { KF_SERVER: api.url });
    expect(api.requests[0]?.headers.authorization).toBe('Bearer kf_root');
    expect(err).toContain(`using the root key in ${join(home, 'data', 'root.key')}`);
    expect(err).not.toContain('kf_root');
  });

  it('is none for a server elsewhere', async () => {
    withRootKey();
    const asked: RequestInit[] = [];
    const elsewhere: typeof fetch = (_url, init) => (asked.push(init ?? {}), Promise.resolve(new Response('{}', { status: 200 })));
    const variables = { XDG_CONFIG_HOME: home, KF_DATA_DIR: join(home, 'data'), KF_SERVER: 'https://kf.example.com' };
    expect((await kf(['whoami'], { variables, fetch: elsewhere })).code).toBe(0);
    expect(asked[0]?.headers).not.toHaveProperty('authorization');
  });

  it('is none where there is no such file; the refusal says where it was looked for and how to give one', async () => {
    api.answers('GET /api/whoami', { status: 401, body: { type: 'https://countersign.dev/problems/unauthenticated', title: 'A valid API key is required', status: 401 } });
    const { code, err } = await at('whoami', { KF_SERVER: api.url });
    expect(code).toBe(1);
    expect(api.requests[0]?.headers).not.toHaveProperty('authorization');
    expect(err).toContain(`no key in ${join(home, 'data', 'root.key')}. Give an API key with --api-key, KF_API_KEY or kf profile set`);
  });

  it('was looked for nowhere when one is configured or the server is elsewhere: a refusal does not say so', async () => {
    const body = { type: 'https://countersign.dev/problems/unauthenticated', title: 'A valid API key is required', status: 401 };
    api.answers('GET /api/whoami', { status: 401, body });
    const configured = await at('whoami --api-key kf_wrong', { KF_SERVER: api.url });
    const elsewhere: typeof fetch = () => Promise.resolve(new Response(JSON.stringify(body), { status: 401 }));
    const remote = await kf(['whoami'], { variables: { XDG_CONFIG_HOME: home, KF_SERVER: 'https://kf.example.com' }, fetch: elsewhere });
    for (const { code, err } of [configured, remote]) expect([code, err.includes('no key in'), err.includes('Give an API key')]).toEqual([1, false, true]);
  });
});
