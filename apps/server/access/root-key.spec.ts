import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Secret, sha256 } from '#kernel';
import { seededIds } from '../../../test/support/seeded-ids.ts';
import { openRootKey } from './root-key.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'countersign-root-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('the root key', () => {
  it('is made on the first start, for its owner alone, and stays', () => {
    const made = openRootKey(folder, null, seededIds());
    expect(made.file).toBe(join(folder, 'root.key'));
    const text = readFileSync(join(folder, 'root.key'), 'utf8');
    expect(text).toMatch(/^kf_root_[0-9a-z]{52}\n$/);
    if (process.platform !== 'win32') expect(statSync(join(folder, 'root.key')).mode & 0o777).toBe(0o600);
    expect(Buffer.from(made.sha256)).toEqual(Buffer.from(sha256(text.trim())));
    expect(openRootKey(folder, null, seededIds(99)).sha256).toEqual(made.sha256);
  });

  it('of the environment leaves the folder alone', () => {
    const { file, sha256: hash } = openRootKey(folder, new Secret('x'.repeat(40)), seededIds());
    expect(file).toBeNull();
    expect(Buffer.from(hash)).toEqual(Buffer.from(sha256('x'.repeat(40))));
    expect(() => statSync(join(folder, 'root.key'))).toThrow();
  });

  it('speaks for anybody, by default for USER:root, and may do everything', () => {
    const { key } = openRootKey(folder, null, seededIds());
    expect(key).toMatchObject({ keyId: 'root', isRoot: true, boundTo: null, defaultActor: { type: 'USER', id: 'root' }, isAdmin: true });
    expect(key.scopes).toHaveLength(5);
  });

  it('in a file that others can read, or that holds something else, is refused', () => {
    openRootKey(folder, null, seededIds());
    const file = join(folder, 'root.key');
    if (process.platform !== 'win32') {
      chmodSync(file, 0o640);
      expect(() => openRootKey(folder, null, seededIds())).toThrow('0600');
      chmodSync(file, 0o600);
    }
    writeFileSync(file, 'short');
    expect(() => openRootKey(folder, null, seededIds())).toThrow('does not hold a root key');
  });
});
