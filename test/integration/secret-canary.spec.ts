import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openSqliteEventStore } from '#event-store/sqlite';
import { Secret } from '#kernel';
import { createSecretVault, formatSigningSecret, loadMasterKeys, newSigningSecret } from '#secret-vault';
import { type CanaryFinding, findCanary } from '../support/canary.ts';
import { managed, newKeyText, place, randomIds, StandingClock } from '../support/vault.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'canary-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const forms = (findings: readonly CanaryFinding[]): string[] => findings.map(({ form }) => form);

describe('the canary', () => {
  const key = newSigningSecret(randomIds).reveal();
  const text = formatSigningSecret(new Secret(key)).reveal();
  const bytes = Buffer.from(key);

  it.each<[string, string | Uint8Array]>([
    ['raw', bytes],
    ['hex', bytes.toString('hex')],
    ['capital hex', bytes.toString('hex').toUpperCase()],
    ['base64', bytes.toString('base64')],
    ['base64url', bytes.toString('base64url')],
    ['its text', text],
    ['its text within base64', Buffer.from(`{"a":"${text}"}`).toString('base64')],
    ['its text within base64, one on', Buffer.from(`{"ab":"${text}"}`).toString('base64url')],
    ['its text within base64, two on', Buffer.from(`{"abc":"${text}"}`).toString('base64')],
    ['the key within base64', Buffer.concat([Buffer.from('12'), bytes, Buffer.from('3')]).toString('base64')],
    ['its text in a query', `?secret=${encodeURIComponent(text)}&b=1`],
    ['its text in a form', `secret=${[...Buffer.from(text)].map((byte) => `%${byte.toString(16)}`).join('')}`],
    ['a serialised buffer', JSON.stringify({ type: 'Buffer', data: [...bytes] })],
  ])('finds a key as %s, in texts and in files of inner folders', (_form, leaked) => {
    mkdirSync(join(folder, 'a', 'b'), { recursive: true });
    writeFileSync(join(folder, 'a', 'b', 'log.db-wal'), Buffer.concat([Buffer.from('before'), Buffer.from(leaked as string), Buffer.from('after')]));
    const leakedText = typeof leaked === 'string' ? `before ${leaked} after` : leaked;
    for (const secret of [key, text]) {
      const findings = findCanary(secret, { folders: [folder], texts: { answer: leakedText } });
      expect(new Set(findings.map(({ where }) => where))).toEqual(new Set([join(folder, 'a', 'b', 'log.db-wal'), 'answer']));
    }
  });

  it('finds nothing where nothing is', () => {
    expect(forms(findCanary(key, { folders: [folder], texts: { answer: formatSigningSecret(newSigningSecret(randomIds)).reveal() } }))).toEqual([]);
  });

  it('does not look for what is found by chance', () => {
    expect(() => findCanary('short', {})).toThrow(RangeError);
  });
});

describe('the data folder of an embedded log', () => {
  it('holds no signing secret, fingerprint key input or master key in clear, and after a shred nothing of the sealed one either', async () => {
    const dataDir = join(folder, 'data');
    const store = await openSqliteEventStore({ dataDir });
    try {
      const [old, next] = [newKeyText(), newKeyText()];
      const clock = new StandingClock();
      const parts = { store, clock, ids: randomIds, secretsDir: folder, environmentSecrets: () => undefined };
      const sources = { dataDir, shared: false, store, clock, ids: randomIds };
      const before = await loadMasterKeys({ ...sources, masterKey: old, previousMasterKey: undefined, logIsEmpty: true });
      const vault = createSecretVault({ ...parts, masterKeys: before });
      const secrets = Array.from({ length: 20 }, () => newSigningSecret(randomIds));
      for (const [index, secret] of secrets.entries()) await vault.store(place, `v${index}`, secret);
      await vault.fingerprint(place.site, formatSigningSecret(secrets[0] ?? newSigningSecret(randomIds)).reveal());
      const after = await loadMasterKeys({ ...sources, masterKey: next, previousMasterKey: old, logIsEmpty: false });
      const rewrapped = createSecretVault({ ...parts, masterKeys: after });
      expect(await rewrapped.rewrap()).toEqual({ rewrapped: 21, unchanged: 0, unreadable: [] });
      for (const secret of secrets) expect(findCanary(secret.reveal(), { folders: [dataDir] })).toEqual([]);
      for (const key of [old, next]) expect(findCanary(Buffer.from(key.reveal(), 'base64'), { folders: [dataDir] })).toEqual([]);

      const sealed = (await store.readStream('signingsecret-acme.production.v7')).map(({ data }) => (JSON.parse(data) as { sealed: string }).sealed);
      expect(sealed).toHaveLength(2);
      for (const text of sealed) expect(forms(findCanary(text, { folders: [dataDir] }))).toContain('text, raw');
      await rewrapped.shred(place.site, 'v7');
      for (const text of sealed) expect(findCanary(text, { folders: [dataDir] })).toEqual([]);
      expect((await rewrapped.open(place, managed('v8'))).reveal()).toEqual(secrets[8]?.reveal());
    } finally {
      await store.close();
    }
  });
});
