import { canonicalJson, type Json, type JsonObject, type Site } from '#kernel';
import type { SecretVault } from '#secret-vault';
import { boundHeader, headerFingerprint, isBoundHeader } from './commands/headers.ts';

/** Whose payload it is. */
interface Resource {
  readonly vault: SecretVault;
  readonly site: Site;
  readonly resourceId: string;
}

/**
 * A payload as approvals, dry runs and templates keep it: without the member that names the resource (the binding has
 * it), and with an imported secret and the values of headers, wherever they stand, as kind and keyed fingerprint. The
 * same request gives the same value each time, and what was kept of it gives itself.
 */
export async function boundPayload(of: Resource, payload: JsonObject, idMember: string): Promise<JsonObject> {
  const { [idMember]: _id, ...rest } = payload;
  return await membersWithoutSecrets(of, rest);
}

async function membersWithoutSecrets(of: Resource, object: JsonObject): Promise<JsonObject> {
  const members = Object.entries(object).map(async ([name, value]) => [name, holdsHeaders.test(name) ? await headersWithoutValues(of, value) : await withoutSecrets(of, value)] as const);
  return Object.fromEntries(await Promise.all(members));
}

/** What is kept need not be the payload of any command, and the flag of `kf` is `--header`. */
const holdsHeaders = /^headers?$/i;

/** What is kept need not be the payload of any command: a secret in the wrong place is still a secret. */
async function withoutSecrets(of: Resource, value: Json): Promise<Json> {
  if (typeof value === 'string') return value.includes('whsec_') ? { kind: 'imported', fingerprint: await of.vault.fingerprint(of.site, value) } : value;
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return await Promise.all(value.map((item) => withoutSecrets(of, item)));
  return await membersWithoutSecrets(of, value);
}

/** Every text in there may be a value, however deep; names are told in lower case, so that they mean the same. */
async function headersWithoutValues(of: Resource, headers: Json): Promise<Json> {
  if (headers === null || typeof headers !== 'object' || isList(headers)) return await withoutTexts(of, '', headers);
  return Object.fromEntries(await Promise.all(Object.entries(headers).map(async ([given, value]) => {
    const name = given.toLowerCase();
    return [name, isBoundHeader(value) ? value : await withoutTexts(of, name, value)] as const;
  })));
}

async function withoutTexts(of: Resource, name: string, value: Json): Promise<Json> {
  if (typeof value === 'string') return boundHeader(await headerFingerprint(of, name, value));
  if (value === null || typeof value !== 'object') return value;
  if (isList(value)) return await Promise.all(value.map((item) => withoutTexts(of, name, item)));
  return Object.fromEntries(await Promise.all(Object.entries(value).map(async ([member, inner]) => [member, await withoutTexts(of, name, inner)] as const)));
}

const isList = (value: readonly Json[] | JsonObject): value is readonly Json[] => Array.isArray(value);

/** The keyed digest that an approval with binding PAYLOAD is given for. */
export const actionDigest = (vault: SecretVault, site: Site, bound: JsonObject): Promise<string> => vault.fingerprint(site, `action|${canonicalJson(bound)}`);
