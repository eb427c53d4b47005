import { expect, it } from '@jest/globals';
import { isRefusal, Secret } from '#kernel';
import type { Seams } from '../../apps/server/composition.ts';
import { runDemo } from '../support/demo/demo.ts';

type Pipeline = Parameters<NonNullable<Seams['wrapPipeline']>>[0];
type Request = Parameters<Pipeline['execute']>[0];

const sam = { type: 'USER', id: 'usr_sam' } as const;
const kim = { type: 'USER', id: 'usr_kim' } as const;

/** A pipeline to which some requests are handed on as other requests. */
const asked = (change: (request: Request) => Request): Seams => ({ wrapPipeline: (own) => ({ ...own, execute: (request) => own.execute(change(request)) }) });

const onlyFor = (commandType: string, change: (request: Request) => Request): Seams => asked((request) => (request.commandType === commandType ? change(request) : request));

const actingAs = (request: Request, actor: typeof sam | typeof kim): Request => ({ ...request, actor, caller: request.caller && { ...request.caller, keyId: `key_of_${actor.id}`, boundTo: actor } });

let keys = 0;

const off: readonly { readonly name: string; readonly says: RegExp; readonly seams?: Seams; readonly allowTargets?: string }[] = [
  {
    name: 'the signature',
    says: /signature verifies/,
    seams: { wrapSend: (own) => (request) => own({ ...request, keys: [new Secret(new Uint8Array(32))] }) },
  },
  { name: 'the replay of a key', says: /same key is a replay/, seams: asked((request) => ({ ...request, idempotencyKey: `${request.idempotencyKey}-${(keys += 1)}` })) },
  { name: 'the gate', says: /rotation without an approval/, seams: onlyFor('RotateWebhookSubscriptionSecret', (request) => ({ ...request, caller: null })) },
  { name: 'four eyes', says: /grant by the requester/, seams: onlyFor('GrantApproval', (request) => actingAs(request, kim)) },
  { name: 'the executor', says: /use by somebody else/, seams: onlyFor('RotateWebhookSubscriptionSecret', (request) => actingAs(request, sam)) },
  {
    name: 'showing a secret once',
    says: /secret is not shown twice/,
    seams: {
      wrapPipeline: (own) => {
        const shown = new Map<string, Secret>();
        return {
          ...own,
          execute: async (request) => {
            const answer = await own.execute(request);
            if (isRefusal(answer)) return answer;
            if (answer.secret !== null) shown.set(answer.commandId, answer.secret);
            return { ...answer, secret: shown.get(answer.commandId) ?? null };
          },
        };
      },
    },
  },
  { name: 'the SSRF guard', says: /metadata address/, allowTargets: 'loopback,169.254.0.0/16' },
  {
    name: 'the pause',
    says: /published while paused/,
    seams: onlyFor('PauseWebhookSubscription', (request) => ({ ...request, commandType: 'ResumeWebhookSubscription' })),
  },
];

// The tour of `npm run demo` is worth something if it notices what is not as it should be.
it.each(off)('npm run demo exits 1 without $name', async ({ seams = {}, allowTargets = 'loopback', says }) => {
  const lines: string[] = [];
  expect(await runDemo({ say: (line) => lines.push(line), seams, allowTargets })).toBe(1);
  expect(lines.at(-1)).toMatch(says);
}, 60_000);
