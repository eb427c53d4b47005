import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { bash, exitOf, freePorts, textOf } from '../support/e2e/checkout.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Contained, type Image, makeImage } from '../support/e2e/image.ts';
import { type EventStoreDb, startEventStoreDb } from '../support/eventstoredb/server.ts';
import { checkoutRoot, type Compose, composeOf, fileText, interpolated, type Service } from '../support/packaging.ts';
import { describeWithRedis, type RedisProcess, startRedis } from '../support/redis-process.ts';

/** What docs/operations.md has people type. */
const tour = /^```sh compose tour\n(.*?)^```$/ms.exec(textOf('docs/operations.md'))?.[1] ?? '';

const variables = { KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: 'r'.repeat(64), KF_WEBHOOK_SECRET_TOUR: `whsec_${Buffer.alloc(32, 3).toString('base64')}` };
const compose: Compose = interpolated(composeOf(fileText('docker-compose.yml')), variables);

let image: Image;
let store: EventStoreDb;
let redis: RedisProcess;
let receiver: Contained;
/** Each with where it listens. */
const servers = new Map<string, Contained & { readonly port: string; readonly environment: Readonly<Record<string, string>> }>();
/** The names that the services have for each other, as what they are here. */
let here: (text: string) => string;

const environmentOf = ({ environment = {} }: Service): Record<string, string> => Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(value)]));

async function isReady(port: string): Promise<true | undefined> {
  const { ok } = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => ({ ok: false }));
  return ok ? true : undefined;
}

/** What a person has typed, in bash. */
async function typed(script: string, server: string): Promise<void> {
  const { port = '', environment = {} } = servers.get(server) ?? {};
  const itself = here(script).replaceAll(`docker compose exec -T ${server} kf`, image.path('/usr/local/bin/kf'));
  const shell = bash(itself, image.path('/'), { ...environment, KF_SERVER: `http://127.0.0.1:${port}`, PATH: `${image.path('/usr/local/bin')}:/usr/bin:/bin` });
  expect({ exitCode: await exitOf(shell, 30_000), said: shell.said() }).toEqual({ exitCode: 0, said: expect.any(String) });
}

const arrivals = (): readonly string[] => receiver.said().split('\n').filter((line) => line.startsWith('verified '));

/** A server of the compose file, on a free port. */
async function startServer(name: string, service: Service): Promise<void> {
  const [port = ''] = await freePorts(1);
  const environment = { ...environmentOf(service), KF_PORT: port, KF_HOST: '127.0.0.1', KF_DATA_DIR: image.dataDir() };
  servers.set(name, { ...image.run(image.entrypoint, environment), port, environment });
}

/** Its receiver, with the files that it is given. */
function startReceiver({ command = [], volumes = [], ...service }: Service, PORT: string): void {
  for (const [from = '', to = ''] of volumes.map((volume) => volume.split(':'))) cpSync(join(checkoutRoot, from), image.path(to));
  receiver = image.run(command.map((word) => (word.startsWith('/') ? image.path(word) : word)), { ...environmentOf(service), PORT });
}

describeWithRedis('what docker-compose.yml describes, run from the image’s files without a container engine', () => {
  beforeAll(async () => {
    image = makeImage();
    [store, redis] = await Promise.all([startEventStoreDb(), startRedis()]);
    const [inbox = ''] = await freePorts(1);
    const names: Readonly<Record<string, string>> = { 'event-store:2113': `127.0.0.1:${store.port}`, 'redis:6379': `127.0.0.1:${redis.port}`, 'receiver:3000': `localhost:${inbox}` };
    here = (text) => Object.entries(names).reduce((said, [name, place]) => said.replace(name, place), text === 'receiver' ? 'localhost' : text);
    for (const [name, service] of Object.entries(compose.services)) {
      if (service.build !== undefined) await startServer(name, service);
      if (name === 'receiver') startReceiver(service, inbox);
    }
    for (const { port } of servers.values()) await eventually('a server that is ready', () => isReady(port), 90_000);
  }, 180_000);

  afterAll(async () => {
    for (const one of [...servers.values(), receiver]) {
      one.child.kill('SIGTERM');
      await one.ended;
    }
    await Promise.all([store?.stop(), redis?.dispose()]);
    await image?.remove();
  }, 90_000);

  it('delivers what is published to the receiver, which finds it signed with the secret that both were given', async () => {
    expect(tour).toContain('docker compose exec -T server-1 kf');
    await typed(tour, 'server-1');
    // A Redis that is new gives nothing away for 15 s.
    await eventually('the event of the tour', () => arrivals().find((line) => line.includes('"data":{"total":1.0}')), 60_000);
  }, 120_000);

  it('has a receiver that refuses what is not signed so', async () => {
    const headers = { 'webhook-id': 'dlv_1', 'webhook-timestamp': String(Math.floor(Date.now() / 1_000)), 'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}` };
    expect((await fetch(here('http://receiver:3000/'), { method: 'POST', headers, body: '{"total":2.0}' })).status).toBe(401);
    expect(arrivals().filter((line) => line.includes('2.0'))).toEqual([]);
  });

  it('goes on with either server when the other is stopped', async () => {
    const one = servers.get('server-1');
    one?.child.kill('SIGTERM');
    expect(await one?.ended).toBe(0);
    await typed(`docker compose exec -T server-2 kf event publish --tenant acme --actor-type USER --actor-id me --type order.paid --data '{"paid":true}'`, 'server-2');
    await eventually('an event of the other server', () => arrivals().find((line) => line.includes('order.paid')), 60_000);
  }, 120_000);
});
