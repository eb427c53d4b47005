import { type EventStore, StreamTombstoned } from '#event-store';
import { type Ids, parseStream, prefixOf, type RecordedEvent, Secret, startOfLog } from '#kernel';
import type { VaultKeeping } from './port.ts';
import { type FingerprintKeyRecord, fingerprintBinding, type Records, secretBinding, type SecretRecord } from './records.ts';
import { type MasterKeys, seal, unseal } from './sealing.ts';

interface RewrapParts {
  readonly store: EventStore;
  readonly masterKeys: MasterKeys;
  readonly ids: Ids;
}

type Outcome = 'rewrapped' | 'unchanged' | 'unreadable';

const page = 200;

/** Walks every sealed stream once, in log order, and appends a new seal where the last one is under an older key. */
export async function rewrapAll(parts: RewrapParts, records: Records): ReturnType<VaultKeeping['rewrap']> {
  const unreadable: string[] = [];
  const counts = { rewrapped: 0, unchanged: 0 };
  const filter = { prefixes: [prefixOf('signingsecret'), prefixOf('fingerprintkey')] };
  for (let position = startOfLog; ; ) {
    const batch = await parts.store.readAll(position, filter, page);
    for (const { stream } of batch.events.filter(({ revision }) => revision === 0)) {
      const outcome = await rewrapOne(parts, records, stream);
      if (outcome === 'unreadable') unreadable.push(stream);
      else counts[outcome] += 1;
    }
    position = batch.position;
    if (batch.caughtUp) return { ...counts, unreadable };
  }
}

async function rewrapOne(parts: RewrapParts, records: Records, stream: RecordedEvent['stream']): Promise<Outcome> {
  const { masterKeys, ids } = parts;
  const record = await records.last<SecretRecord | FingerprintKeyRecord>(stream);
  if (!record || record.data.keyId === masterKeys.current.id) return 'unchanged';
  const bindTo = bindingOf(record);
  const plain = unseal(masterKeys, bindTo, record.data);
  if (!(plain instanceof Secret)) return 'unreadable';
  const sealed = seal(masterKeys, bindTo, plain, ids);
  const renewed: SecretRecord | FingerprintKeyRecord = 'subscriptionId' in record.data
    ? { type: 'SigningSecretRewrapped', data: { ...record.data, ...sealed } }
    : { type: 'FingerprintKeyRewrapped', data: sealed };
  try {
    // A conflict means that another rewrap was here in the meantime; shredded in the meantime is as good.
    return (await records.append(stream, record.revision, renewed)) === 'written' ? 'rewrapped' : 'unchanged';
  } catch (error) {
    if (error instanceof StreamTombstoned) return 'unchanged';
    throw error;
  }
}

/** The binding of a record by what it says of itself; a record that says something untrue does not open. */
function bindingOf({ stream, data }: { readonly stream: string; readonly data: SecretRecord['data'] | FingerprintKeyRecord['data'] }): string {
  const parsed = parseStream(stream);
  if (!parsed) throw new TypeError(`${stream} is no stream of the vault`);
  const { site, id } = parsed;
  return 'subscriptionId' in data ? secretBinding({ site, ...data }, id) : fingerprintBinding(site);
}
