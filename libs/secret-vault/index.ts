export { type SecretName, type SecretPlace, type SecretVault, SigningSecretUnavailable } from './port.ts';
