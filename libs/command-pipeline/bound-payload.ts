import { canonicalJson, type Json, type JsonObject, type Site } from '#kernel';
import type { SecretVault } from '#secret-vault';

/**
 * A payload as approvals, dry runs and templates keep it: without the member that names the resource (the binding has
 * it), and with an imported secret, wherever it stands, as kind and keyed fingerprint. The same request gives the same
 * value each time.
 */
export async function boundPayload(vault: SecretVault, site: Site, payload: JsonObject, idMember: string): Promise<JsonObject> {
  const { [idMember]: _id, ...rest } = payload;
  return await membersWithoutSecrets(vault, site, rest);
}

async function membersWithoutSecrets(vault: SecretVault, site: Site, object: JsonObject): Promise<JsonObject> {
  return Object.fromEntries(await Promise.all(Object.entries(object).map(async ([name, value]) => [name, await withoutSecrets(vault, site, value)] as const)));
}

/** What is kept need not be the payload of any command: a secret in the wrong place is still a secret. */
async function withoutSecrets(vault: SecretVault, site: Site, value: Json): Promise<Json> {
  if (typeof value === 'string') return value.includes('whsec_') ? { kind: 'imported', fingerprint: await vault.fingerprint(site, value) } : value;
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return await Promise.all(value.map((item) => withoutSecrets(vault, site, item)));
  return await membersWithoutSecrets(vault, site, value);
}

const isList = (value: readonly Json[] | JsonObject): value is readonly Json[] => Array.isArray(value);

/** The keyed digest that an approval with binding PAYLOAD is given for. */
export const actionDigest = (vault: SecretVault, site: Site, bound: JsonObject): Promise<string> => vault.fingerprint(site, `action|${canonicalJson(bound)}`);
