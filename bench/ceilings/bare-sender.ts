// The ceiling of deliveries: undici with keep-alive and both signatures over one body, and nothing behind it.
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { parseSigningSecret, signatureHeaders, signRoost, signStandard } from '#webhook-sender/signing';
import { drive } from '../load.ts';

export interface SendOrder {
  readonly url: string;
  readonly connections: number;
  readonly requests: number;
  readonly body: string;
  readonly signingSecret: string;
  readonly maxMs: number;
}

async function send({ url, connections, requests, body, signingSecret, maxMs }: SendOrder): Promise<number> {
  const key = parseSigningSecret(signingSecret);
  if ('refused' in key) throw new TypeError(key.detail);
  const { origin, pathname: path } = new URL(url);
  const pool = new Pool(origin, { connections, pipelining: 1 });
  const bytes = Buffer.from(body);
  const post = async (): Promise<void> => {
    const id = `dlv_${randomUUID()}`;
    const timestampSeconds = Math.floor(Date.now() / 1_000);
    const signed = { timestampSeconds, body: bytes, keys: [key] };
    const headers = {
      'content-type': 'application/json',
      'accept-encoding': 'identity',
      'user-agent': 'Countersign/bench',
      [signatureHeaders.id]: id,
      [signatureHeaders.timestamp]: String(timestampSeconds),
      [signatureHeaders.standard]: signStandard({ ...signed, id }),
      [signatureHeaders.roost]: signRoost(signed),
    };
    const answer = await pool.request({ method: 'POST', path, headers, body: bytes });
    await answer.body.dump();
    if (answer.statusCode !== 200) throw new Error(`the receiver answered ${answer.statusCode}`);
  };
  const sent = await drive({ operations: requests, concurrency: connections, maxMs }, post);
  await pool.close();
  return sent;
}

process.on('message', (order: SendOrder) => void send(order).then((sent) => process.send?.({ sent })));
process.on('disconnect', () => process.exit(0));
process.send?.({ ready: true });
