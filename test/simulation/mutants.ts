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
    edits: [{ find: 'claimed ? undefined : await claim(', replace: 'claimed || tries >= 0 ? undefined : await claim(' }],
  },
  {
    name: 'an attempt goes on although the claim names another resource',
    file: 'libs/command-pipeline/claim.ts',
    edits: [{ find: 'winner.resourceId === claim.resourceId ? undefined', replace: 'winner.resourceId !== undefined ? undefined' }],
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
      { find: 'await sealAll(world, request.site, plan.made?.seals ?? []);', replace: '' },
      { find: "if (appended === 'conflict') return 'conflict';", replace: "if (appended === 'conflict') return 'conflict'; await sealAll(world, request.site, plan.made?.seals ?? []);" },
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
