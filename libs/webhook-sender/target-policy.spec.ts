import { describe, expect, it } from '@jest/globals';
import { AllowedTargetMalformed, checkTargetUrl, createTargetPolicy, judgeTarget, resolveAndCheckTarget } from './target-policy.ts';

const policyOf = (allowTargets: readonly string[] = [], allowHttp = false): ReturnType<typeof createTargetPolicy> => createTargetPolicy({ allowTargets, allowHttp });
const outcome = (url: string, allowTargets: readonly string[] = [], allowHttp = false): string => checkTargetUrl(url, policyOf(allowTargets, allowHttp))?.detail ?? 'fine';

describe('KF_ALLOW_TARGETS', () => {
  it.each([
    ['loopback', ['127.0.0.1', '127.255.0.1', '::1', '::ffff:127.0.0.1'], ['10.0.0.1', '0.0.0.0', 'fe80::1']],
    ['private', ['10.0.0.1', '172.31.0.1', '192.168.0.1', 'fc00::1', 'fdff::1'], ['127.0.0.1', '169.254.169.254', 'fe80::1', '100.64.0.1']],
    ['100.64.0.0/10', ['100.64.0.1', '100.127.255.255'], ['127.0.0.1']],
    ['169.254.169.254', ['169.254.169.254'], ['169.254.169.253']],
    ['fe80::/10', ['fe80::1', 'febf::1'], ['fec0::1']],
    ['fd00::7', ['fd00::7'], ['fd00::8']],
    [' LoopBack ', ['127.0.0.1'], ['10.0.0.1']],
  ])('%s opens what it names and nothing else', (item, opened, closed) => {
    const policy = policyOf([item]);
    const judge = (address: string): unknown => judgeTarget({ protocol: 'https:', host: 'a.example' }, [address], policy);
    expect(opened.map(judge)).toEqual(opened.map(() => 'allowed'));
    for (const address of closed) expect(judge(address)).not.toBe('allowed');
  });

  it('opens a host name exactly, in any letter case, a trailing dot ignored', () => {
    const policy = policyOf(['Receiver.Internal.', 'bücher.example']);
    const judge = (host: string): unknown => judgeTarget({ protocol: 'http:', host }, ['10.0.0.1'], policy);
    expect(judge('receiver.internal')).toBe('allowed');
    expect(judge('xn--bcher-kva.example')).toBe('allowed');
    expect(judge('a.receiver.internal')).not.toBe('allowed');
    expect(judge('receiver.internal.example')).not.toBe('allowed');
  });

  it.each(['10.0.0/8', '10.0.0.0/33', '10.0.0.0/', '10.0.0.1/8', 'fd00::1/8', '10.0.0.0/8/8', '10.0.0.0/-1', '10.0.0.0/0x8', '::ffff:10.0.0.0/104', '[::1]', '127.1', '0x7f.0.0.1', 'localhost:3000', 'https://a.example', '*.example', 'a..example', 'a b', '', 'fe80::1%eth0', 'user@host', 'a/b'])(
    'refuses an item that means nothing, and names it: "%s"',
    (item) => {
      expect(() => policyOf(['loopback', item])).toThrow(AllowedTargetMalformed);
      expect(() => policyOf(['loopback', item])).toThrow(`"${item}"`);
    },
  );
});

/** URLs that the WHATWG parser turns into loopback or other refused addresses. */
const refusedLiterals = [
  'https://127.0.0.1/', 'https://127.1/', 'https://0x7f.1/', 'https://0x7f000001/', 'https://2130706433/', 'https://0177.0.0.1/', 'https://017700000001/', 'https://127.0.0.1./', 'https://127.0.0.1:8443/',
  'https://[::1]/', 'https://[::ffff:7f00:1]/', 'https://[::ffff:127.0.0.1]/', 'https://[::127.0.0.1]/', 'https://[64:ff9b::7f00:1]/', 'https://[2002:7f00:1::]/', 'https://[::ffff:0:7f00:1]/',
  'https://localhost/', 'https://LOCALHOST/', 'https://localhost./', 'https://a.localhost/', 'https://１２７.０.０.１/', 'https://①②⑦.⓪.⓪.①/', 'https://127%2e0.0.1/', 'https://0/', 'https://0.0.0.0/', 'https://[::]/',
  'https://10.0.0.1/', 'https://192.168.1.1/', 'https://169.254.169.254/latest/meta-data/', 'https://2852039166/', 'https://[fd00:ec2::254]/', 'https://[fe80::1]/', 'https://100.100.100.200/',
];

describe('the URL of a target', () => {
  it.each(refusedLiterals)('is refused early: %s', (url) => {
    expect(checkTargetUrl(url, policyOf())).toMatchObject({ refused: 'target-url-refused', detail: expect.stringMatching(/KF_ALLOW_TARGETS=\S+ would allow it/) });
  });

  it.each([
    ['ftp://a.example/', 'scheme'],
    ['file:///etc/passwd', 'scheme'],
    ['unix:/var/run/docker.sock', 'scheme'],
    ['https://user:secret@a.example/', 'credentials'],
    ['https://user@a.example/', 'credentials'],
    ['https://a.example:0/', 'port 0'],
    ['https://a..example/', 'host'],
    ['https://./', 'host'],
    ['https://a*b.example/', 'host'],
    ['/hook', 'absolute'],
    ['a.example', 'absolute'],
    ['https://[fe80::1%25eth0]/', 'absolute'],
    ['https://1.2.3.4.5/', 'absolute'],
  ])('is refused as malformed, without repeating it: %s', (url, why) => {
    const detail = outcome(url, ['loopback', 'private'], true);
    expect(detail).toContain(why);
    expect(detail).not.toContain('secret');
  });

  it.each([
    ['https://a.example/hook?x=1#y', []],
    ['https://8.8.8.8/', []],
    ['https://[2606:4700:4700::1111]:8443/', []],
    ['https://a_b.example/', []],
    ['http://127.0.0.1:3000/', ['loopback']],
    ['http://localhost:3000/', ['loopback']],
    ['http://[::1]:3000/', ['loopback']],
    ['http://[::ffff:7f00:1]/', ['loopback']],
    ['http://receiver.internal/', ['receiver.internal']],
    ['http://RECEIVER.internal./', ['receiver.internal']],
    ['http://10.1.2.3/', ['private']],
    ['http://receiver.internal/', ['10.0.0.0/8']],
  ])('is fine: %s with %j', (url, allowTargets) => expect(outcome(url, allowTargets)).toBe('fine'));

  it('may be http only inside KF_ALLOW_TARGETS or with KF_ALLOW_HTTP', () => {
    expect(outcome('http://a.example/')).toMatch(/use https:, or set KF_ALLOW_HTTP=true or KF_ALLOW_TARGETS=a\.example$/);
    expect(outcome('http://8.8.8.8/', ['loopback'])).toContain('KF_ALLOW_HTTP=true');
    expect(outcome('http://a.example/', [], true)).toBe('fine');
    expect(outcome('http://127.0.0.1/', [], true)).toContain('KF_ALLOW_TARGETS=loopback');
  });

  it('is refused with the narrowest setting that would allow it', () => {
    const setting = (url: string): unknown => checkTargetUrl(url, policyOf())?.members?.['setting'];
    expect(setting('http://localhost:3000/')).toBe('KF_ALLOW_TARGETS=loopback');
    expect(setting('https://[::1]/')).toBe('KF_ALLOW_TARGETS=loopback');
    expect(setting('https://10.1.2.3/')).toBe('KF_ALLOW_TARGETS=private');
    expect(setting('https://169.254.169.254/')).toBe('KF_ALLOW_TARGETS=169.254.169.254');
    expect(setting('http://a.example/')).toBe('KF_ALLOW_HTTP=true');
  });
});

describe('the early answer for a name', () => {
  const check = (addresses: readonly string[], allowTargets: readonly string[] = [], url = 'https://a.example/'): Promise<unknown> =>
    resolveAndCheckTarget(url, policyOf(allowTargets), () => Promise.resolve(addresses)).then((refusal) => refusal?.detail ?? 'fine');

  it('is a refusal when one of its addresses is refused, and says nothing about which', async () => {
    const detail = await check(['8.8.8.8', '10.1.2.3']);
    expect(detail).toBe('the target URL is refused: its host has an address that is not allowed; KF_ALLOW_TARGETS=a.example would allow it');
    expect(await check(['::1'])).toBe(detail);
    expect(await check(['169.254.169.254'])).toBe(detail);
  });

  it('is none when all are public, opened, or the name is listed', async () => {
    expect(await check(['8.8.8.8', '2606:4700:4700::1111'])).toBe('fine');
    expect(await check(['10.1.2.3', '8.8.8.8'], ['private'])).toBe('fine');
    expect(await check(['10.1.2.3'], ['a.example'])).toBe('fine');
  });

  it('lets http through only when every address is opened', async () => {
    expect(await check(['10.1.2.3'], ['private'], 'http://a.example/')).toBe('fine');
    expect(await check(['10.1.2.3', '8.8.8.8'], ['private'], 'http://a.example/')).toContain('KF_ALLOW_HTTP=true');
  });

  it('is none when the name does not resolve now', async () => {
    expect(await resolveAndCheckTarget('https://a.example/', policyOf(), () => Promise.reject(new Error('SERVFAIL')))).toBeUndefined();
    expect(await check([])).toBe('fine');
  });

  it('asks nobody about an address or about a URL that is refused anyhow', async () => {
    const nobody = (): Promise<readonly string[]> => Promise.reject(new Error('asked'));
    expect(await resolveAndCheckTarget('https://127.0.0.1/', policyOf(), nobody)).toBeDefined();
    expect(await resolveAndCheckTarget('ftp://a.example/', policyOf(), nobody)).toBeDefined();
    expect(await resolveAndCheckTarget('https://8.8.8.8/', policyOf(), nobody)).toBeUndefined();
  });
});
