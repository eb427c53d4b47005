import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { bash, blocks, checkout, end, exitOf, freePorts, type Shell, startWithinMs, tourServer } from '../support/e2e/checkout.ts';
import { Home } from '../support/e2e/home.ts';
import { Witness } from '../support/e2e/witness.ts';

/** Several times what it takes alone: other tests run beside it. */
const tourWithinMs = 120_000;

describe('the tour of the README, word for word but for the ports', () => {
  let folder: string;
  let home: Home;
  let server: Shell | undefined;
  let witness: Witness | undefined;
  let tour: Shell;
  let curls: Shell;
  let exitCode: number | null;
  let received: string;

  beforeAll(async () => {
    folder = checkout();
    home = new Home(join(folder, 'data'));
    const [port = '', receiverPort = ''] = await freePorts(2);
    witness = await Witness.before(() => `http://127.0.0.1:${port}`);
    const { url } = witness;
    const own = (text: string): string => text.replaceAll('http://127.0.0.1:8080', url).replaceAll(':3000', `:${receiverPort}`).replaceAll('?? 3000', `?? ${receiverPort}`);
    server = await tourServer(folder, port, await home.environment());
    tour = bash(blocks('sh tour').map(own).join(''), folder, { KF_SERVER: url });
    exitCode = await exitOf(tour, tourWithinMs);
    curls = bash(blocks('sh http').map(own).join(''), folder, {});
    await exitOf(curls, tourWithinMs);
    received = readFileSync(join(folder, 'data', 'received.log'), 'utf8');
  }, startWithinMs + tourWithinMs);

  afterAll(async () => {
    await end(server);
    await home.remove();
    await rm(folder, { recursive: true });
    await witness?.end();
  }, 40_000);

  it('ends well', () => expect({ exitCode, said: exitCode === 0 ? '' : tour.said() }).toEqual({ exitCode: 0, said: '' }));

  it('gets refused what must be refused, and nothing else', () => {
    expect(tour.said().match(/^refused: .*$/gm)).toEqual(['refused: that id belongs to another event', 'refused: it needs an approval', 'refused: nobody grants what they asked for']);
    expect([...tour.said().matchAll(/^error: .*\((.*), \d+\)$/gm)].map(([, slug]) => slug)).toEqual(['idempotency-key-reused', 'approval-required', 'approver-conflict']);
  });

  it('shows each secret once: of the subscription and of the rotation to variables, never on the terminal', () => {
    expect(tour.said()).not.toContain('whsec_');
    expect(tour.said()).toContain('"secret":null');
  });

  it('brings every event to the receiver that it must reach, each with a signature that verifies', () => {
    expect([...received.matchAll(/^verified (\S+) /gm)].map(([, id]) => id)).toEqual(['ord-1', 'ord-3', 'ord-4', 'ord-5']);
    expect(received).toContain('"data":{"id":9007199254740993,"total":1.0}');
  });

  it('shows deliveries, a transcript, the dead letter, the used approval, the status and the metrics', () => {
    expect(tour.said()).toContain('"eventId":"ord-2"');
    expect(tour.said()).toMatch(/"eventId":"ord-2".*"deliveries":\[\]/);
    expect(tour.said()).toContain('"transcripts":[{"attempt":1');
    expect(tour.said()).toMatch(/"eventId":"ord-5".*"status":"DEAD_LETTERED"/);
    expect(tour.said()).toMatch(/^Status +CONSUMED$/m);
    expect(tour.said()).toMatch(/^READY: read models .* behind/m);
    expect(tour.said()).toMatch(/^countersign_delivery_attempts_total\{outcome="dead_lettered"\} 1$/m);
  });

  it('and its examples of HTTP do what they should', () => {
    expect(curls.said()).not.toContain('/problems/');
    expect(curls.child.exitCode).toBe(0);
    for (const part of ['"commandType":"UpsertWebhookSubscription"', '"commandType":"DeleteWebhookSubscription"', '"eventId":"inv-1","status":"ACCEPTED"', '"nextCursor":null']) expect(curls.said()).toContain(part);
  });
});
