import { spawnSync } from 'node:child_process';
import { Writable } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { createLog, createMetrics } from './index.ts';

describe('the log', () => {
  const write = (entry: object, level = 'info') => {
    let written = '';
    const destination = new Writable({
      write(chunk: Buffer, _encoding, done) {
        written += chunk.toString();
        done();
      },
    });
    createLog(level, destination).info(entry, 'said');
    return written;
  };

  it('lets lines wait for others, except warnings and what is worse', () => {
    const said: string[] = [];
    const log = createLog('info', { write: (line) => void said.push((JSON.parse(line) as { readonly msg: string }).msg), flush: () => void said.push('flush') });
    log.info('one');
    log.warn('two');
    log.fatal('three');
    expect(said).toEqual(['one', 'two', 'flush', 'three', 'flush']);
  });

  it('has every line when the process ends, and before that within a moment', () => {
    const log = new URL('./index.ts', import.meta.url).href;
    const said = (then: string): string => {
      const script = `import { createLog } from '${log}'; createLog('info').info('last words'); ${then}`;
      return spawnSync(process.execPath, ['--conditions=source', '--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', script], { encoding: 'utf8', env: { PATH: process.env['PATH'] } }).stderr;
    };
    expect(said('process.exit(1);')).toContain('last words');
    // Nothing is written at the end of one that is killed.
    expect(said(`setTimeout(() => process.kill(process.pid, 'SIGKILL'), 2_000);`)).toContain('last words');
  });

  it('writes one JSON object per line with time, level and message', () => {
    expect(JSON.parse(write({ correlationId: 'c-1' }))).toEqual({ level: 'info', time: expect.stringMatching(/^\d{4}-.*Z$/), correlationId: 'c-1', msg: 'said' });
  });

  it('shows no secret, whether by its type or by its name', () => {
    const line = write({ a: new Secret('hunter2'), headers: { authorization: 'Bearer hunter2' }, body: { payload: { signingSecretRef: 'hunter2' } }, result: { secret: 'hunter2' }, list: [{ apiKey: 'hunter2' }] });
    expect(line).not.toContain('hunter2');
    expect(line.match(/\[redacted\]/g)).toHaveLength(5);
  });

  it('shows no secret that hangs on an error or stands in a list, and leaves the entry as it is', () => {
    const entry = { err: Object.assign(new Error('it broke'), { apiKey: 'hunter2' }), keys: [{ secret: 'hunter2' }] };
    expect(JSON.parse(write(entry))).toMatchObject({ err: { type: 'Error', message: 'it broke', stack: expect.stringContaining('it broke'), apiKey: '[redacted]' }, keys: [{ secret: '[redacted]' }] });
    expect(entry).toMatchObject({ err: { apiKey: 'hunter2' }, keys: [{ secret: 'hunter2' }] });
  });

  it('leaves what it was given as it was', () => {
    const entry = { headers: { authorization: 'Bearer x' } };
    write(entry);
    expect(entry).toEqual({ headers: { authorization: 'Bearer x' } });
  });

  it('tells an error with its stack', () => {
    expect(JSON.parse(write({ err: new TypeError('broken') }))).toMatchObject({ err: { type: 'TypeError', message: 'broken', stack: expect.stringContaining('telemetry.spec') } });
  });

  it('is silent below its level', () => expect(write({}, 'error')).toBe(''));
});

describe('the metrics', () => {
  it('count commands, attempts and commits, and read the gauges when scraped', async () => {
    const metrics = createMetrics({
      now: () => 10_000,
      openDeliveries: () => Promise.resolve({ count: 3, oldestAtMs: 4_000 }),
      endpointsFailing: () => 2,
      projections: () => [{ name: 'keys', behindMs: 1_500, state: 'STOPPED' }],
    });
    metrics.command('PublishEvent', 'applied');
    metrics.attempt('delivered', 20);
    metrics.commit(7);
    metrics.published('accepted', 2);
    metrics.request('GET', '/api/keys', 200, 3);
    const { text, contentType } = await metrics.scrape();
    expect(contentType).toContain('text/plain');
    for (const line of [
      'countersign_commands_total{type="PublishEvent",outcome="applied"} 1',
      'countersign_delivery_attempts_total{outcome="delivered"} 1',
      'countersign_delivery_attempt_seconds_bucket{le="0.025"} 1',
      'countersign_commit_batch_events_sum 7',
      'countersign_events_published_total{outcome="accepted"} 2',
      'countersign_http_request_seconds_count{method="GET",route="/api/keys",status="200"} 1',
      'countersign_deliveries_open 3',
      'countersign_oldest_undelivered_seconds 6',
      'countersign_endpoints_failing 2',
      'countersign_projection_lag_seconds{projection="keys"} 1.5',
      'countersign_projection_stopped{projection="keys"} 1',
    ]) expect(text).toContain(line);
  });

  it('count what is open once for a scrape, and anew for the next', async () => {
    let counted = 0;
    const openDeliveries = (): Promise<{ count: number; oldestAtMs: null }> => Promise.resolve({ count: (counted += 1), oldestAtMs: null });
    const metrics = createMetrics({ now: () => 0, openDeliveries, endpointsFailing: () => 0, projections: () => [] });
    expect((await metrics.scrape()).text).toContain('countersign_deliveries_open 1\n');
    expect((await metrics.scrape()).text).toContain('countersign_deliveries_open 2\n');
  });

  it('that could not be counted are counted anew with the next scrape', async () => {
    let isAway = true;
    const openDeliveries = (): Promise<{ count: number; oldestAtMs: null }> => (isAway ? Promise.reject(new Error('away')) : Promise.resolve({ count: 4, oldestAtMs: null }));
    const metrics = createMetrics({ now: () => 0, openDeliveries, endpointsFailing: () => 0, projections: () => [] });
    await expect(metrics.scrape()).rejects.toThrow('away');
    isAway = false;
    expect((await metrics.scrape()).text).toContain('countersign_deliveries_open 4\n');
  });
});
