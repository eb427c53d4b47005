import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { Secret } from '#kernel';
import { ConfigError, environmentSecret, readServerConfig } from './server.ts';

const problemsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readServerConfig(environment);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
};

const shared = { KF_EVENT_STORE: 'esdb://store:2113', KF_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'), KF_ROOT_KEY: 'r'.repeat(32) };

describe('the configuration of the server', () => {
  it('has the defaults of the contract', () => {
    expect(readServerConfig({})).toEqual({
      host: '127.0.0.1', port: 8080, dataDir: resolve('data'), roles: ['api', 'sagas', 'dispatcher'], eventStore: 'sqlite', redis: null, masterKey: null, masterKeyPrevious: null,
      rootKey: null, secretsDir: resolve('data/secrets'), allowTargets: [], allowHttp: false, retryScheduleMs: null, historyDays: 30, logLevel: 'info',
    });
  });

  it('reads every variable', () => {
    const key = Buffer.alloc(32, 1).toString('base64');
    const config = readServerConfig({
      KF_HOST: '::1', KF_PORT: '0', KF_DATA_DIR: '/srv/d', KF_ROLES: 'dispatcher, api', KF_EVENT_STORE: 'sqlite', KF_MASTER_KEY: key, KF_MASTER_KEY_PREVIOUS: key,
      KF_ROOT_KEY: 'r'.repeat(32), KF_ALLOW_TARGETS: 'loopback, 10.0.0.0/8,receiver.internal,fd00::/8', KF_ALLOW_HTTP: 'true', KF_RETRY_SCHEDULE: '0s,5s,5m', KF_HISTORY_DAYS: '7', KF_LOG_LEVEL: 'debug',
    });
    expect(config).toMatchObject({
      host: '::1', port: 0, dataDir: '/srv/d', roles: ['api', 'dispatcher'], secretsDir: '/srv/d/secrets', allowTargets: ['loopback', '10.0.0.0/8', 'receiver.internal', 'fd00::/8'],
      allowHttp: true, retryScheduleMs: [0, 5_000, 300_000], historyDays: 7, logLevel: 'debug',
    });
    expect(config.masterKey?.reveal()).toBe(key);
    expect(JSON.stringify(config)).not.toContain('rrrr');
  });

  it('says everything that is wrong at once', () => {
    expect(problemsOf({ KF_PORT: '80a', KF_ROLES: 'api,cook', KF_ALLOW_TARGETS: 'loopback,10.0.0.0/99', KF_RETRY_SCHEDULE: '5', KF_LOG_LEVEL: 'loud', KF_EVENT_STORE: 'postgres://me:hush@x' })).toEqual([
      'KF_PORT must be a whole number from 0 to 65535.',
      'KF_ROLES must be a comma-separated list of api, sagas, dispatcher.',
      'KF_EVENT_STORE must be sqlite, or the connection string of an EventStoreDB, esdb://… or esdb+discover://….',
      expect.stringContaining('"10.0.0.0/99" is none of them'),
      expect.stringContaining('KF_RETRY_SCHEDULE must be'),
      expect.stringContaining('KF_LOG_LEVEL must be one of'),
    ]);
  });

  it.each(['esdb://me:hush@store:2113?tls=true', 'esdb+discover://me:hush@stores.internal'])('takes an EventStoreDB, %s, whose connection string it shows to nobody', (connection) => {
    const config = readServerConfig({ KF_EVENT_STORE: connection, KF_MASTER_KEY: Buffer.alloc(32, 1).toString('base64'), KF_ROOT_KEY: 'r'.repeat(32) });
    expect(config.eventStore instanceof Secret && config.eventStore.reveal()).toBe(connection);
    expect(`${JSON.stringify(config)} ${inspect(config)}`).not.toContain('hush');
  });

  it.each([
    ['redis://me:hush@cache:6380/2', { places: [{ host: 'cache', port: 6_380 }], master: null, database: 2, tls: false }],
    ['rediss+sentinel://:hush@a,b:26380/mymaster?sentinelPassword=hush', { places: [{ host: 'a', port: 26_379 }, { host: 'b', port: 26_380 }], master: 'mymaster', tls: true }],
  ])('takes a Redis for several processes on one log, %s, whose password it shows to nobody', (url, target) => {
    const config = readServerConfig({ ...shared, KF_REDIS: url });
    expect(config.redis).toMatchObject(target);
    expect(config.redis?.password?.reveal()).toBe('hush');
    expect(`${JSON.stringify(config)} ${inspect(config)}`).not.toContain('hush');
  });

  it('refuses a Redis that it can not read, without its password, and one for a log that has one process', () => {
    expect(problemsOf({ ...shared, KF_REDIS: 'http://:hush@cache' })).toEqual([expect.stringMatching(/^KF_REDIS must be the URL of a Redis: it has the form redis:\/\/(?!.*hush)/)]);
    expect(problemsOf({ KF_REDIS: 'redis://cache' })).toEqual([expect.stringContaining('KF_REDIS must not be set when KF_EVENT_STORE is sqlite')]);
  });

  it('asks for the keys where the log may be shared: no file of one machine can hold them', () => {
    expect(problemsOf({ KF_EVENT_STORE: 'esdb://me:hush@store:2113', KF_ROOT_KEY: '' })).toEqual([
      'KF_MASTER_KEY must be set when KF_EVENT_STORE is an EventStoreDB: every process on the log needs the same.',
      'KF_ROOT_KEY must be set when KF_EVENT_STORE is an EventStoreDB: every process on the log needs the same.',
    ]);
    expect(problemsOf({ KF_EVENT_STORE: 'esdb://store', KF_ROOT_KEY: 'short', KF_MASTER_KEY: 'x' })).toEqual([expect.stringMatching(/^KF_MASTER_KEY must be the base64/), expect.stringMatching(/^KF_ROOT_KEY must be 32/)]);
  });

  it('refuses an unknown variable and names the nearest', () => {
    expect(problemsOf({ KF_DATADIR: 'x', KF_KAFKA: 'x', KF_HOSTS: 'x' })).toEqual([
      'KF_DATADIR is not a known variable. Did you mean "KF_DATA_DIR"?',
      'KF_HOSTS is not a known variable. Did you mean "KF_HOST"?',
      expect.stringMatching(/^KF_KAFKA is not a known variable\./),
    ]);
  });

  it('leaves the variables of others alone', () => {
    expect(problemsOf({ KF_SERVER: 'x', KF_API_KEY: 'x', KF_PROFILE: 'x', KF_WEBHOOK_SECRET_ORDERS: 'x', PATH: '/bin', KFX: '1' })).toEqual([]);
    expect(problemsOf({ KF_WEBHOOK_SECRET_: 'x' })).toHaveLength(1);
  });

  it('never repeats a key', () => {
    for (const name of ['KF_MASTER_KEY', 'KF_MASTER_KEY_PREVIOUS', 'KF_ROOT_KEY']) {
      const [problem] = problemsOf({ [name]: 'hunter2' });
      expect(problem).toMatch(new RegExp(`^${name} must be`));
      expect(problem).not.toContain('hunter2');
    }
  });

  it('reads signing secrets by their variables, and no other variable', () => {
    const environment = { KF_WEBHOOK_SECRET_ORDERS: 'x', KF_MASTER_KEY: 'y' };
    expect(environmentSecret('KF_WEBHOOK_SECRET_ORDERS', environment)).toBe('x');
    expect(environmentSecret('KF_MASTER_KEY', environment)).toBeUndefined();
  });

  it('takes an empty variable as unset', () => expect(readServerConfig({ KF_PORT: '' }).port).toBe(8080));
});
