import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where to look: every file below folders (SQLite's `-wal` and `-shm` too), and texts such as logs, answers and traces, by name. */
export interface Haystack {
  readonly folders?: readonly string[];
  readonly texts?: Readonly<Record<string, string | Uint8Array>>;
}

export interface CanaryFinding {
  readonly where: string;
  /** In which of its forms the secret stands there. */
  readonly form: string;
}

/**
 * Looks for a secret in every form it could have leaked in: raw, hex, base64 and base64url (wherever it falls within a
 * longer encoded text), percent-encoded and JSON-escaped. The bytes of a signing key are looked for as its `whsec_…`
 * text too, and that text in all the same forms. `whsec_` text may be given in place of its bytes.
 */
export function findCanary(secret: Uint8Array | string, { folders = [], texts = {} }: Haystack): CanaryFinding[] {
  const needles = formsOf(secret);
  const places: (readonly [string, Buffer])[] = [
    ...folders.flatMap((folder) => filesBelow(folder).map((path) => [path, readFileSync(path)] as const)),
    ...Object.entries(texts).map(([name, text]) => [name, Buffer.from(text as string)] as const),
  ];
  return places.flatMap(([where, content]) => needles.filter(({ bytes }) => content.includes(bytes)).map(({ form }) => ({ where, form })));
}

interface Needle {
  readonly form: string;
  readonly bytes: Buffer;
}

function formsOf(secret: Uint8Array | string): Needle[] {
  if (typeof secret !== 'string') {
    const text = `whsec_${Buffer.from(secret).toString('base64')}`;
    return [...encodings('key', Buffer.from(secret)), ...encodings('text', Buffer.from(text))];
  }
  if (secret.startsWith('whsec_')) return formsOf(Buffer.from(secret.slice('whsec_'.length), 'base64'));
  return encodings('text', Buffer.from(secret));
}

function encodings(of: string, bytes: Buffer): Needle[] {
  if (bytes.length < 8) throw new RangeError('a canary needs at least 8 bytes, or it is found by chance');
  const hex = bytes.toString('hex');
  const percent = hex.replaceAll(/../g, '%$&');
  const forms: Record<string, string | Buffer> = {
    raw: bytes,
    hex,
    'hex in capitals': hex.toUpperCase(),
    'percent-encoded': percent,
    'percent-encoded in capitals': percent.toUpperCase(),
    'percent-encoded text': encodeURIComponent(bytes.toString('utf8')),
    'percent-encoded base64': encodeURIComponent(bytes.toString('base64')),
    'JSON array of bytes': [...bytes].join(','),
    'JSON-escaped': JSON.stringify(bytes.toString('utf8')).slice(1, -1),
  };
  for (const shift of [0, 1, 2]) {
    forms[`base64 (${shift})`] = base64Within(bytes, shift, 'base64');
    forms[`base64url (${shift})`] = base64Within(bytes, shift, 'base64url');
  }
  return Object.entries(forms).map(([form, needle]) => ({ form: `${of}, ${form}`, bytes: Buffer.from(needle as string) }));
}

/** The characters of a base64 text that depend on nothing but these bytes, when `shift` bytes (mod 3) stand before them. */
function base64Within(bytes: Buffer, shift: number, encoding: 'base64' | 'base64url'): string {
  const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString(encoding).replace(/=+$/, '');
  const first = shift === 0 ? 0 : shift + 1;
  const wholeGroups = Math.floor((shift + bytes.length) / 3) * 4;
  return text.slice(first, wholeGroups);
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
