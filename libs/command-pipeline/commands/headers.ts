import { hiddenValue, type Json, type JsonObject, newId, refuse, type Refusal, Secret, type Site } from '#kernel';
import type { SecretVault } from '#secret-vault';
import type { HeaderVersion, ProposedValue, SubscriptionSettings, SubscriptionState } from '#subscriptions';
import type { Context } from '../definition.ts';

/** Where a value stands in: the same value has another fingerprint in another subscription, so that nobody can tell who shares one. */
interface Whose {
  readonly vault: SecretVault;
  readonly site: Site;
  readonly resourceId: string;
}

export const headerFingerprint = ({ vault, site, resourceId }: Whose, name: string, value: string): Promise<string> => vault.fingerprint(site, `header|${resourceId}|${name}|${value}`);

/** A value as payloads that are kept name it. */
export const boundHeader = (fingerprint: string): JsonObject => ({ kind: 'sealed', fingerprint });

export const isBoundHeader = (value: Json): value is { readonly kind: 'sealed'; readonly fingerprint: string } => {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return false;
  const { kind, fingerprint, ...more } = value as JsonObject;
  return kind === 'sealed' && typeof fingerprint === 'string' && /^[0-9a-f]{64}$/.test(fingerprint) && Object.keys(more).length === 0;
};

const presentHeaders = (state: SubscriptionState): ReadonlyMap<string, HeaderVersion> => new Map(state.status === 'NONE' ? [] : Object.entries(state.headers ?? {}));

/** The headers of a state, as a payload names what it leaves as it is; null: none. */
export function headersNow({ headers }: SubscriptionSettings): JsonObject | null {
  return headers === undefined ? null : Object.fromEntries(Object.entries(headers).map(([name, { fingerprint }]) => [name, boundHeader(fingerprint)]));
}

/** The headers of a request in full: names in lower case, and where answers showed `[redacted]` the value that is there. Without any, the request as it is. */
export function completeHeaders(state: SubscriptionState, payload: JsonObject): JsonObject | Refusal {
  const { headers } = payload;
  if (headers === undefined || headers === null) return payload;
  const present = presentHeaders(state);
  const whole: [string, Json][] = [];
  for (const [given, value] of Object.entries(headers as JsonObject)) {
    const name = given.toLowerCase();
    const kept = value === hiddenValue ? present.get(name) : undefined;
    if (value === hiddenValue && kept === undefined) return nothingToKeep(name);
    whole.push([name, kept === undefined ? value : boundHeader(kept.fingerprint)]);
  }
  return { ...payload, headers: Object.fromEntries(whole) };
}

function nothingToKeep(name: string): Refusal {
  const message = `must have a value for ${name}: ${hiddenValue} means the one that is there, and there is none`;
  return refuse('validation-failed', `payload.headers ${message}.`, { errors: [{ path: 'payload.headers', message }] });
}

/** The headers of a completed payload as the settings name them, and the values among them that the vault has not. */
export async function proposeHeaders(context: Context, state: SubscriptionState): Promise<{ readonly headers: Readonly<Record<string, HeaderVersion>>; readonly values: readonly ProposedValue[] }> {
  const present = presentHeaders(state);
  const { world, request, resourceId } = context;
  const whose = { vault: world.vault, site: request.site, resourceId };
  const proposed = await Promise.all(Object.entries((request.payload['headers'] ?? {}) as JsonObject).map(async ([name, given]): Promise<{ name: string; version: HeaderVersion; value?: Secret<Uint8Array> }> => {
    const kept = present.get(name);
    if (kept !== undefined && isBoundHeader(given)) return { name, version: kept };
    if (typeof given !== 'string') throw new TypeError(`payload.headers has no text for ${name}`);
    const version = { versionId: newId('sec', context.nowMs, world.ids), fingerprint: await headerFingerprint(whose, name, given) };
    return { name, version, value: new Secret<Uint8Array>(Buffer.from(given)) };
  }));
  return {
    headers: Object.fromEntries(proposed.map(({ name, version }) => [name, version])),
    values: proposed.flatMap(({ version, value }) => (value === undefined ? [] : [{ version, value }])),
  };
}
