import { type ApiKeyCommand, apiKeyDecider, type ApiKeyEvent, type ApiKeyState, keyIdPrefix, keySecretBytes, keySha256, makeKeyText } from '#access';
import { isRefusal, type Position, type Secret } from '#kernel';
import type { CommandDefinition, Context } from '../definition.ts';
import { flag, principalOr, text, textList, textOr } from '../payload.ts';

interface CreateKey {
  readonly command: ApiKeyCommand;
  readonly text: Secret;
}

/** A key that was answered can be used at once, and one whose revocation was answered can't: keys are checked in the read model. */
const readModelWaitMs = 2_000;

const onKey = { category: 'apikey', idMember: 'keyId', fold: () => apiKeyDecider, incarnation: () => 'NONE', settle: keysAreSeen } as const;

async function keysAreSeen({ world }: Omit<Context, 'firstEventId'>, _loaded: unknown, { position }: { readonly position: Position }): Promise<undefined> {
  await world.caughtUp(position, readModelWaitMs);
}

const create: CommandDefinition<ApiKeyState, CreateKey, ApiKeyEvent> = {
  ...onKey,
  type: 'CreateApiKey',
  idPrefix: keyIdPrefix,
  prepare: async ({ request, resourceId, world, nowMs }) => {
    const { payload } = request;
    const keyText = makeKeyText(resourceId, world.ids.randomBytes(keySecretBytes));
    const [actor, defaultActor, owner] = [principalOr(payload, 'actor'), principalOr(payload, 'defaultActor'), principalOr(payload, 'owner')];
    const expiresOn = textOr(payload, 'expiresOn', undefined);
    const command: ApiKeyCommand = {
      do: 'create',
      keyId: resourceId,
      nowMs,
      name: text(payload, 'name'),
      scopes: textList(payload, 'scopes'),
      anyActor: flag(payload, 'anyActor'),
      createdBy: request.caller?.isRoot === true ? null : request.actor,
      keySha256: keySha256(keyText),
      ...(actor === undefined ? {} : { actor }),
      ...(defaultActor === undefined ? {} : { defaultActor }),
      ...(owner === undefined ? {} : { owner }),
      ...(expiresOn === undefined ? {} : { expiresOn }),
    };
    return await Promise.resolve({ command, text: keyText });
  },
  decide: (state, prepared) => {
    const decision = apiKeyDecider.decide(state, prepared.command);
    return isRefusal(decision) ? decision : { ...decision, made: { seals: [], reveal: prepared.text } };
  },
};

const revoke: CommandDefinition<ApiKeyState, ApiKeyCommand, ApiKeyEvent> = {
  ...onKey,
  type: 'RevokeApiKey',
  prepare: ({ resourceId }) => Promise.resolve({ do: 'revoke', keyId: resourceId }),
  decide: (state, command) => apiKeyDecider.decide(state, command),
};

export const accessCommands = [create, revoke] as const;
