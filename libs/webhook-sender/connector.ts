import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import type { Clock } from '#kernel';
import { buildConnector } from 'undici';
import { ConnectFailure } from './failure.ts';
import type { Resolve } from './resolver.ts';
import type { Target } from './target.ts';
import { judgeTarget, type TargetPolicy } from './target-policy.ts';
import type { AttemptError } from './transcript.ts';

/** How a connection came to be. */
export interface Connection {
  readonly remoteAddress: string | null;
  readonly dnsMs: number | null;
  readonly connectMs: number;
  readonly tlsMs: number | null;
  /** Whether a request has been sent on it. */
  used: boolean;
}

/** One of the connections that an origin may have at a time, made again whenever it is needed and gone. */
export interface Line {
  connection: Connection | undefined;
  /** Ends the making of the connection while it goes on. */
  dialling: AbortController | undefined;
}

export type Dial = (options: buildConnector.Options, line: Line, callback: buildConnector.Callback) => void;

export interface DialOptions {
  readonly policy: TargetPolicy;
  readonly resolve: Resolve;
  readonly clock: Clock;
  /** PEM of the roots to trust instead of the runtime's. */
  readonly certificateAuthorities?: string;
}

/**
 * Makes every connection of the sender, and is where the policy holds: a name is resolved anew, all its addresses are judged,
 * and only those that were judged can be dialled; an IP address never reaches a lookup and is judged by itself.
 * Fails with `ConnectFailure`. It has no deadline of its own: whoever waits for the connection aborts `line.dialling`.
 */
export function createDial(options: DialOptions): Dial {
  const secure = buildConnector({ allowH2: false, timeout: 0, ...(options.certificateAuthorities === undefined ? {} : { ca: options.certificateAuthorities }) });
  return (target, line, callback) => {
    const dialling = new AbortController();
    line.dialling = dialling;
    void open(target, secure, options, dialling.signal).then(
      ([socket, connection]) => {
        line.dialling = undefined;
        line.connection = connection;
        callback(null, socket);
      },
      (error: unknown) => {
        line.dialling = undefined;
        callback(error instanceof ConnectFailure ? error : new ConnectFailure('connect-failed', error), null);
      },
    );
  };
}

async function open(options: buildConnector.Options, secure: buildConnector.connector, context: DialOptions, signal: AbortSignal): Promise<[Socket, Connection]> {
  const { clock } = context;
  const encrypted = options.protocol === 'https:';
  const host = options.hostname;
  const start = clock.monotonicMs();
  const addresses = await admittedAddresses({ protocol: encrypted ? 'https:' : 'http:', host }, context, signal);
  const resolved = clock.monotonicMs();
  const port = options.port === '' ? portOf[options.protocol] : Number(options.port);
  const tcp = await step(connectTcp({ host, port: port ?? 0, addresses, signal }), signal, codeOfConnect);
  const connected = clock.monotonicMs();
  const socket = encrypted ? await step(encrypt(secure, options, tcp), signal, () => 'tls-failed') : tcp;
  const tlsMs = encrypted ? clock.monotonicMs() - connected : null;
  return [socket, { remoteAddress: tcp.remoteAddress ?? null, dnsMs: isIP(host) === 0 ? resolved - start : null, connectMs: connected - resolved, tlsMs, used: false }];
}

const portOf: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 };

/** The addresses of a target, every one of which the policy allows. */
async function admittedAddresses(target: Pick<Target, 'protocol' | 'host'>, { policy, resolve }: DialOptions, signal: AbortSignal): Promise<readonly string[]> {
  const addresses = isIP(target.host) === 0 ? await step(resolve(target.host), signal, () => 'dns-failed') : [target.host];
  if (addresses.length === 0) throw new ConnectFailure('dns-failed', new Error('the name has no address'));
  const judgement = judgeTarget(target, addresses, policy);
  if (judgement !== 'allowed') throw new ConnectFailure('target-refused', new Error(judgement.why));
  return addresses;
}

/** Waits for one step, but no longer than until the signal aborts; a failure gets the step's code. */
function step<T>(work: Promise<T>, signal: AbortSignal, codeOf: (error: unknown) => AttemptError): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new ConnectFailure('aborted', signal.reason));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, (error: unknown) => reject(new ConnectFailure(codeOf(error), error)));
  });
}

const codeOfConnect = (error: unknown): AttemptError => {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return codes[String(code)] ?? 'connect-failed';
};

const codes: Readonly<Record<string, AttemptError>> = { ECONNREFUSED: 'connect-refused', ECONNRESET: 'connection-reset', ETIMEDOUT: 'timeout' };

function connectTcp({ host, port, addresses, signal }: { host: string; port: number; addresses: readonly string[]; signal: AbortSignal }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const lookup: LookupFunction = (_name, options, answer) => {
      const pinned = addresses.map((address) => ({ address, family: isIP(address) }));
      if (options.all === true) answer(null, pinned);
      else answer(null, pinned[0]?.address ?? '', pinned[0]?.family);
    };
    // An address that does not answer gives way to the next one after a while; the last may take all the time there is.
    const socket = connect({ host, port, lookup, signal, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: 2_000, noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 });
    socket.once('connect', () => resolve(socket));
    // Stays for the life of the socket: between our hands and undici's an error must not go unheard and end the process.
    socket.on('error', reject);
  });
}

const encrypt = (secure: buildConnector.connector, target: buildConnector.Options, tcp: Socket): Promise<Socket> =>
  new Promise((resolve, reject) => {
    secure({ ...target, httpSocket: tcp }, (...[error, socket]) => {
      if (error === null) resolve(socket);
      else reject(error);
    });
  });
