import { describe, expect, it } from '@jest/globals';
import { parseRedisUrl, type RedisTarget } from '#coordination/redis-url';
import { isRefusal } from '#kernel';

const read = (text: string): unknown => {
  const target = parseRedisUrl(text);
  return isRefusal(target) ? target.detail : { ...target, password: target.password?.reveal() ?? null, sentinelPassword: target.sentinelPassword?.reveal() ?? null };
};
const plain = { master: null, database: 0, tls: false, username: null, password: null, sentinelPassword: null };

describe('the URL of Redis', () => {
  it.each<[string, object]>([
    ['redis://cache', { places: [{ host: 'cache', port: 6_379 }] }],
    ['redis://127.0.0.1:7000/', { places: [{ host: '127.0.0.1', port: 7_000 }] }],
    ['redis://[::1]:7000/3', { places: [{ host: '::1', port: 7_000 }], database: 3 }],
    ['rediss://me:p%40ss%3A@cache', { places: [{ host: 'cache', port: 6_379 }], tls: true, username: 'me', password: 'p@ss:' }],
    ['redis://:secret@cache', { places: [{ host: 'cache', port: 6_379 }], password: 'secret' }],
    ['redis+sentinel://host1:26379,host2/mymaster', { places: [{ host: 'host1', port: 26_379 }, { host: 'host2', port: 26_379 }], master: 'mymaster' }],
    ['rediss+sentinel://me:pw@host1/my-master.1/2?sentinelPassword=a%26b', { places: [{ host: 'host1', port: 26_379 }], master: 'my-master.1', database: 2, tls: true, username: 'me', password: 'pw', sentinelPassword: 'a&b' }],
  ])('%s', (text, expected) => {
    expect(read(text)).toEqual({ ...plain, ...expected });
  });

  it.each([
    ['http://cache', 'has the form redis://'],
    ['redis:cache', 'has the form redis://'],
    ['redis://:p@ss@cache', 'percent-encoded'],
    ['redis://a:hunter2:c@cache', 'other colons percent-encoded'],
    ['redis://:hunter2%@cache', 'percent-encoded'],
    ['redis://cache:0', 'ports from 1 to 65535'],
    ['redis://cache:65536', 'ports from 1 to 65535'],
    ['redis://ca che', 'must name hosts'],
    ['redis://a,b', 'redis+sentinel://'],
    ['redis+sentinel://a,,b/m', 'must name hosts'],
    ['redis://cache/mymaster', 'number of a database'],
    ['redis+sentinel://a', "master's name"],
    ['redis+sentinel://a/m/x', "master's name"],
    ['redis://cache?sentinelPassword=hunter2', 'only with redis+sentinel://'],
    ['redis+sentinel://a/m?password=hunter2', 'one parameter, sentinelPassword'],
  ])('refuses %s, and says what it must be but not what it was', (text, right) => {
    expect(read(text)).toContain(right);
    expect(read(text)).not.toContain('hunter2');
  });

  it('keeps passwords where they are not seen', () => {
    const target = parseRedisUrl('redis+sentinel://me:hunter2@a/m?sentinelPassword=hunter3') as RedisTarget;
    expect(JSON.stringify(target)).not.toContain('hunter');
  });
});
