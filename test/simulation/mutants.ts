/** One protection switched off, as changes of the source: each `find` must stand in the file exactly once. */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly edits: readonly { readonly find: string; readonly replace: string }[];
}

const pipeline = 'libs/command-pipeline/pipeline.ts';

/** Each of these breaks a promise of the command pipeline; the simulation must notice every one. */
export const mutants: readonly Mutant[] = [
  {
    name: 'event ids come from the key only',
    file: 'libs/command-pipeline/identity.ts',
    edits: [{ find: '`${attemptId}|${tries}|${index}`', replace: '`${index}`' }],
  },
  {
    name: 'no commandId check in the aggregate',
    file: pipeline,
    edits: [{ find: 'if (receipt !== undefined) return await replay(', replace: 'if (receipt !== undefined && tries < 0) return await replay(' }],
  },
  {
    name: 'an approval is consumed outside the append of the effect',
    file: pipeline,
    edits: [{ find: '[...plan.facts, ...consumed, {', replace: '[...plan.facts, {' }],
  },
  {
    name: 'the fence of a revoke stands outside the stream of the resource',
    file: 'libs/command-pipeline/fence.ts',
    edits: [
      { find: 'await world.store.append(stream, loaded.expected,', replace: "await world.store.append(streamOf('approval', site, `fence-${id}`), 'NO_STREAM'," },
    ],
  },
  {
    name: 'a revoke has no fence at all',
    file: 'libs/command-pipeline/commands/approvals.ts',
    edits: [{ find: '!state.wasApproved) return undefined;', replace: 'state.wasApproved) return undefined;' }],
  },
  {
    name: 'no claim',
    file: pipeline,
    edits: [{ find: 'let claimed = attempt.claimed !== undefined;', replace: 'let claimed = true;' }],
  },
  {
    name: 'an attempt goes on although the claim names another resource',
    file: 'libs/command-pipeline/attempt.ts',
    edits: [{ find: 'claimed?.resourceId ?? (await newResourceId(', replace: '(await newResourceId(' }],
  },
  {
    name: 'an effect is written behind a claim that was refused',
    file: 'libs/event-store/append-each.ts',
    edits: [{ find: 'if (result instanceof Error) return results;', replace: 'if (result instanceof Error) continue;' }],
  },
  {
    name: 'no fingerprint in the receipt',
    file: pipeline,
    edits: [{ find: 'if (receipt.fingerprint !== fingerprint) return keyReused();', replace: "if (fingerprint === '') return keyReused();" }],
  },
  {
    name: 'the secret is stored after the effect',
    file: pipeline,
    edits: [
      { find: 'await sealAll(vault, request.site, seals);', replace: '' },
      { find: 'return await appendUntilKnown(store, clock, stream, expected, events, deadlineMs);', replace: 'const appended = await appendUntilKnown(store, clock, stream, expected, events, deadlineMs); await sealAll(vault, request.site, seals); return appended;' },
    ],
  },
  {
    name: 'a header keeps the value that it had',
    file: 'libs/subscriptions/decider.ts',
    edits: [{ find: 'present[name]?.fingerprint === version.fingerprint', replace: 'present[name] !== undefined' }],
  },
  {
    name: 'the checkpoint of a saga is only in memory',
    file: 'libs/sagas/checkpoint.ts',
    edits: [{ find: 'if (last === undefined) return { position: startOfLog,', replace: 'if (last === undefined || this.#expected === \'NO_STREAM\') return { position: await this.#parts.store.head(),' }],
  },
];
