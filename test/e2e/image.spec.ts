import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePorts } from '../support/e2e/checkout.ts';
import { eventually } from '../support/e2e/eventually.ts';
import { type Contained, type Image, makeImage } from '../support/e2e/image.ts';
import { startEventStoreDb } from '../support/eventstoredb/server.ts';

/** Every file, and when it was changed. */
const filesOf = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((path) => `${path} ${statSync(join(folder, path)).mtimeMs}`)
    .sort();

const keys = { KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: 'r'.repeat(32) };

let image: Image;
beforeAll(() => {
  image = makeImage();
}, 120_000);
afterAll(() => image?.remove());

const outcomeOf = async (contained: Contained): Promise<{ readonly code: number | NodeJS.Signals; readonly said: string }> => ({ code: await contained.ended, said: contained.said() });

describe('the image, made as the Dockerfile says and run without a container engine', () => {
  it('has what a server needs, writes nowhere but in its data folder, says whether it is well, and stops when it is asked to', async () => {
    const before = filesOf(image.path('/app'));
    const [KF_PORT = ''] = await freePorts(1);
    const variables = { KF_PORT, KF_HOST: '127.0.0.1', KF_DATA_DIR: image.dataDir() };
    const isWell = async (): Promise<boolean> => (await image.run(image.healthcheck, variables).ended) === 0;
    const open = async (path: string): Promise<number> => {
      const answer = await fetch(`http://127.0.0.1:${KF_PORT}${path}`);
      await answer.text();
      return answer.status;
    };

    expect(await isWell()).toBe(false);
    const server = image.run(image.entrypoint, variables);
    try {
      await eventually('a healthy server', async () => ((await isWell()) ? true : undefined), 60_000);
      await eventually('a ready server', async () => ((await open('/health/ready')) === 200 ? true : undefined));
      // Each needs packages of its own.
      expect([await open('/docs'), await open('/docs/swagger-ui-bundle.js'), await open('/openapi.yaml'), await open('/metrics')]).toEqual([200, 200, 200, 200]);
      const kf = await outcomeOf(image.run(['kf', 'status', '--server', `http://127.0.0.1:${KF_PORT}`, '--output', 'table'], variables));
      expect(kf).toEqual({ code: 0, said: expect.stringMatching(/^READY: /m) });
    } finally {
      server.child.kill('SIGTERM');
    }
    expect(await outcomeOf(server)).toEqual({ code: 0, said: expect.stringContaining('"stopping"') });
    expect(await isWell()).toBe(false);
    expect(filesOf(image.path('/app'))).toEqual(before);
  }, 120_000);

  it('is well, though not ready, while its event store is away: to end it would bring nothing back', async () => {
    const store = await startEventStoreDb();
    const [KF_PORT = ''] = await freePorts(1);
    const variables = { ...keys, KF_PORT, KF_HOST: '127.0.0.1', KF_DATA_DIR: image.dataDir(), KF_EVENT_STORE: store.url };
    const server = image.run(image.entrypoint, variables);
    const readiness = async (wanted: number): Promise<true | undefined> => (server.said().includes('listening') && (await fetch(`http://127.0.0.1:${KF_PORT}/health/ready`)).status === wanted ? true : undefined);
    try {
      await eventually('a ready server', () => readiness(200), 60_000);
      await store.down();
      await eventually('a server that is not ready', () => readiness(503), 60_000);
      expect(await image.run(image.healthcheck, variables).ended).toBe(0);
    } finally {
      server.child.kill('SIGKILL');
      await server.ended;
      await store.stop();
    }
  }, 120_000);

  it('can be stopped while it waits for its event store at its start', async () => {
    const server = image.run(image.entrypoint, { ...keys, KF_PORT: '0', KF_DATA_DIR: image.dataDir(), KF_EVENT_STORE: 'esdb://127.0.0.1:1?tls=false' });
    await eventually('a server that waits', () => (server.said().includes('the event store') ? true : undefined), 60_000);
    server.child.kill('SIGTERM');
    // As the first process of a container it would not be ended by a signal that it does not take.
    expect(await server.ended).toBe(1);
  }, 120_000);
});
