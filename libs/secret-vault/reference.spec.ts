import { describe, expect, it } from '@jest/globals';
import { parseSecretReference, referredTo } from './reference.ts';

describe('a signing secret reference', () => {
  it('is managed', () => {
    expect(parseSecretReference('managed')).toEqual({ kind: 'managed' });
  });

  it('is an imported secret in Standard Webhooks form', () => {
    const reference = parseSecretReference('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
    expect('secret' in reference && Buffer.from(reference.secret.reveal()).toString('hex')).toBe('31f290f6bf06298aab4f08d43c3f082cf648a362da2da4b0');
  });

  it.each(['env:KF_WEBHOOK_SECRET_ORDERS', 'file:orders', 'file:orders.v2_b-1'])('is a name to look up when signing: %s', (text) => {
    expect(parseSecretReference(text)).toEqual({ kind: text.slice(0, text.indexOf(':')), reference: text });
  });

  it.each([
    '', 'Managed', ' managed', 'managed\n', 'whsec_', 'whsec_c2hvcnQ=', 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*', `whsec_${Buffer.alloc(65).toString('base64')}`,
    'env:', 'env:KF_WEBHOOK_SECRET_', 'env:KF_MASTER_KEY', 'env:PATH', 'env:KF_WEBHOOK_SECRET_a', 'env:KF_WEBHOOK_SECRET_A\n', 'env:KF_WEBHOOK_SECRET_A=B',
    'file:', 'file:.', 'file:..', 'file:../master.key', 'file:/etc/passwd', 'file:a/b', 'file:a\\b', 'file:.hidden', 'file:a\0b', 'file:a\n', `file:${'a'.repeat(129)}`,
    'vault:orders', 'https://example.com/secret', 'FILE:orders',
  ])('is nothing else: %j', (text) => {
    expect(parseSecretReference(text)).toEqual({ malformed: expect.any(String) });
  });

  it('is never repeated when it is malformed, for it may hold a secret', () => {
    const almost = `whsec_${'A'.repeat(30)}!`;
    expect(JSON.stringify(parseSecretReference(almost))).not.toContain('AAAA');
  });

  it('is checked again when it comes from the log', () => {
    expect(referredTo({ versionId: 'v', kind: 'file', reference: 'file:../master.key' })).toBeUndefined();
    expect(referredTo({ versionId: 'v', kind: 'env', reference: 'file:orders' })).toBeUndefined();
    expect(referredTo({ versionId: 'v', kind: 'env' })).toBeUndefined();
    expect(referredTo({ versionId: 'v', kind: 'env', reference: 'env:KF_WEBHOOK_SECRET_A' })).toBe('KF_WEBHOOK_SECRET_A');
  });
});
