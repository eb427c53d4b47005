export { formatSigningSecret, newSigningKey as newSigningSecret } from '#webhook-sender/signing';
export { loadMasterKeys, logIdOf, MasterKeyRefused, type MasterKeySources } from './master-key.ts';
export { type SecretName, type SecretPlace, type SecretVault, SigningSecretUnavailable, type StoredVersion, type VaultKeeping } from './port.ts';
export { parseSecretReference, type SecretReference } from './reference.ts';
export { type MasterKey, type MasterKeys } from './sealing.ts';
export { createSecretVault, type SecretVaultParts } from './vault.ts';
