import { canonicalJson, type JsonObject, type Site } from '#kernel';
import type { SecretVault } from '#secret-vault';

/**
 * A payload as approvals, dry runs and templates keep it: without the member that names the resource (the binding has
 * it), and with an imported secret as kind and keyed fingerprint. The same request gives the same value each time.
 */
export async function boundPayload(vault: SecretVault, site: Site, payload: JsonObject, idMember: string): Promise<JsonObject> {
  const { [idMember]: _id, ...rest } = payload;
  const reference = rest['signingSecretRef'];
  if (typeof reference !== 'string' || !reference.startsWith('whsec_')) return rest;
  return { ...rest, signingSecretRef: { kind: 'imported', fingerprint: await vault.fingerprint(site, reference) } };
}

/** The keyed digest that an approval with binding PAYLOAD is given for. */
export const actionDigest = (vault: SecretVault, site: Site, bound: JsonObject): Promise<string> => vault.fingerprint(site, `action|${canonicalJson(bound)}`);
