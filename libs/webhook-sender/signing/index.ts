export { signatureHeaders, type SignatureVerdict, type SignedContent, signRoost, signStandard, verifyRoost, verifyStandard } from './signatures.ts';
export { formatSigningSecret, newSigningKey, parseSigningSecret } from './signing-secret.ts';
