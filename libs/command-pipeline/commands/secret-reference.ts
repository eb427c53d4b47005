import { newId, refuse, type Refusal, type Secret, type Site } from '#kernel';
import { newSigningSecret, parseSecretReference } from '#secret-vault';
import type { ProposedSecret } from '#subscriptions';
import type { Context } from '../definition.ts';

/** The signing secret that a reference proposes: named, and when it is ours to keep, with its key. Refuses a malformed reference without repeating it. */
export async function proposeSecret({ world, request, nowMs }: Context, reference: string): Promise<ProposedSecret | Refusal> {
  const parsed = parseSecretReference(reference);
  if ('malformed' in parsed) return refuse('validation-failed', parsed.malformed, { errors: [{ path: 'payload.signingSecretRef', message: parsed.malformed }] });
  const versionId = newId('sec', nowMs, world.ids);
  if (parsed.kind === 'env' || parsed.kind === 'file') {
    const { kind } = parsed;
    return { version: { versionId, kind, reference: parsed.reference, fingerprint: await world.vault.fingerprint(request.site, parsed.reference) }, key: null, generated: false };
  }
  const generated = parsed.kind === 'managed';
  const key = parsed.kind === 'imported' ? parsed.secret : newSigningSecret(world.ids);
  return { version: { versionId, kind: 'managed', fingerprint: await keyFingerprint(world.vault, request.site, key) }, key, generated };
}

const keyFingerprint = (vault: Context['world']['vault'], site: Site, key: Secret<Uint8Array>): Promise<string> => vault.fingerprint(site, `key|${Buffer.from(key.reveal()).toString('base64')}`);
