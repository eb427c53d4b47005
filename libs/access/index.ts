export { bindActor, type KeyActors } from './binding.ts';
export { type ApiKeyCommand, apiKeyDecider, type ApiKeyState, type CreateApiKey, decideApiKey, evolveApiKey, initialApiKey, type RevokeApiKey } from './decider.ts';
export { type ApiKeyEvent } from './events.ts';
export { keyIdOf, keyIdPrefix, keySecretBytes, keySha256, makeKeyText, rootKeyId } from './key-text.ts';
export { apiKeyProjection, type ApiKeyRow, apiKeyTable } from './projection.ts';
export { grants, grantsEverywhere, isAdmin, knowsSite, onlySite, parseScope, type Right, rights, type Scope } from './scopes.ts';
