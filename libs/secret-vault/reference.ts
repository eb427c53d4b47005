import { isRefusal, type Secret } from '#kernel';
import { parseSigningSecret } from '#webhook-sender/signing';
import type { SecretName } from './port.ts';

/**
 * What a `signingSecretRef` asks for. `imported` holds a secret the caller chose, which is then managed like one of ours;
 * `env` and `file` name one that is looked up each time a request is signed. `malformed` says what is wrong without
 * repeating the text, which may hold a secret.
 */
export type SecretReference =
  | { readonly kind: 'managed' }
  | { readonly kind: 'imported'; readonly secret: Secret<Uint8Array> }
  | { readonly kind: 'env' | 'file'; readonly reference: string }
  | { readonly malformed: string };

const variable = /^env:(KF_WEBHOOK_SECRET_[A-Z0-9_]{1,64})$/;
const file = /^file:([A-Za-z0-9][A-Za-z0-9._-]{0,127})$/;

/**
 * Reads a reference: `managed`, `whsec_…` (Standard Webhooks 1.0), `env:KF_WEBHOOK_SECRET_<NAME>` (capitals, digits,
 * underscores) or `file:<name>` (a name without a slash that starts with a letter or digit, inside the secrets folder).
 */
export function parseSecretReference(text: string): SecretReference {
  if (text === 'managed') return { kind: 'managed' };
  if (text.startsWith('whsec_')) {
    const secret = parseSigningSecret(text);
    return isRefusal(secret) ? { malformed: secret.detail } : { kind: 'imported', secret };
  }
  if (text.startsWith('env:')) {
    return variable.test(text) ? { kind: 'env', reference: text } : { malformed: 'an env: reference is env:KF_WEBHOOK_SECRET_<NAME>, in capitals, digits and underscores' };
  }
  if (text.startsWith('file:')) {
    return file.test(text) ? { kind: 'file', reference: text } : { malformed: 'a file: reference is file:<name>, a plain file name inside the secrets folder' };
  }
  return { malformed: 'a signing secret reference is managed, whsec_<base64>, env:KF_WEBHOOK_SECRET_<NAME> or file:<name>' };
}

/** The variable or file that a name refers to; undefined when it refers to none, or not in the form that is allowed. */
export function referredTo(name: SecretName): string | undefined {
  const form = { managed: undefined, env: variable, file }[name.kind];
  return form?.exec(name.reference ?? '')?.[1];
}
