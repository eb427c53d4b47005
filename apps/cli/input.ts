import { readFileSync } from 'node:fs';
import { addAbortSignal, type Readable } from 'node:stream';
import { createInterface } from 'node:readline';
import { isRefusal, type Secret } from '#kernel';
import { parseSigningSecret } from '#webhook-sender/signing';
import { errorText } from './error-code.ts';
import { readSetting } from './flags.ts';
import { type Form, signingSecret } from './forms.ts';
import { Failed, type Io, UsageError } from './io.ts';

/** Standard input to its end, as UTF-8 text. `flag` is what asked for it. */
export async function readInput(io: Io, flag: string): Promise<string> {
  if (io.stdin.isTTY === true) io.stderr.write(`${flag}: type it, then end with Ctrl-D\n`);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of addAbortSignal(io.signal, io.stdin as Readable)) chunks.push(Buffer.from(chunk as Buffer | string));
  } catch (error) {
    throw io.signal.aborted ? new Failed('interrupted: nothing was sent') : error;
  }
  return decoded(Buffer.concat(chunks), flag);
}

/** A value that is read from standard input because it may be a secret: one line, its line end not part of it. */
export async function readSecretLine(io: Io, flag: string, form: Form<string>): Promise<string> {
  const given = (await readInput(io, flag)).replace(/\r?\n$/, '');
  return readSetting(flag, form, given);
}

/** A signing key whose secret (`whsec_…`) is read from standard input. */
export async function readSigningKey(io: Io, flag: string): Promise<Secret<Uint8Array>> {
  const key = parseSigningSecret(await readSecretLine(io, flag, signingSecret));
  if (isRefusal(key)) throw new UsageError([`${flag}: ${key.detail}`]);
  return key;
}

/** A file as UTF-8 text. `flag` is what named it. */
export const readFileText = (path: string, flag: string): string => decoded(readFileBytes(path, flag), flag);

/** A file to the byte. */
export function readFileBytes(path: string, flag: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new UsageError([`${flag}: ${path} can't be read: ${errorText(error)}`]);
  }
}

function decoded(bytes: Buffer, flag: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError([`${flag}: expected UTF-8 text`]);
  }
}

/** Whether somebody sits there who can be asked. */
export const canAsk = ({ stdin, stderr }: Io): boolean => stdin.isTTY === true && stderr.isTTY === true;

/** Asks a yes-or-no question on the terminal. Anything but yes, also the end of input, means no. */
export async function confirmed(io: Io, question: string): Promise<boolean> {
  const lines = createInterface({ input: io.stdin, output: io.stderr, terminal: false });
  try {
    const answer = await new Promise<string>((resolve) => {
      lines.once('close', () => resolve(''));
      io.signal.addEventListener('abort', () => resolve(''), { once: true });
      lines.question(`${question} [y/N] `, resolve);
    });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    lines.close();
  }
}
