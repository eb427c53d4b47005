import { describe, expect, it } from '@jest/globals';
import { ConfigError, readCopyTarget } from './index.ts';

describe('the store that a log is copied to', () => {
  it('is what KF_EVENT_STORE says', () => {
    for (const text of ['esdb://me:hush@127.0.0.1:2113?tls=true', 'esdb+discover://cluster.example:2113']) expect(readCopyTarget({ KF_EVENT_STORE: text }).reveal()).toBe(text);
  });

  it.each([
    [undefined, 'it is not set.'],
    ['', 'it is not set.'],
    ['sqlite', 'it is sqlite, which is what the log is copied from.'],
    ['esdb:hush', 'it is no such connection string.'],
    ['postgres://me:hush@host', 'it is no such connection string.'],
  ])('must be an EventStoreDB, not %s; what it holds is not repeated', (text, says) => {
    const reading = (): unknown => readCopyTarget({ KF_EVENT_STORE: text });
    expect(reading).toThrow(ConfigError);
    expect(reading).toThrow(`KF_EVENT_STORE must be the connection string of the EventStoreDB to copy to, esdb://… or esdb+discover://…; ${says}`);
    expect(reading).not.toThrow('hush');
  });
});
