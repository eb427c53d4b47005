export { type AddressJudgement, judgeAddress } from './address.ts';
export type { CustomHeaders } from './request-headers.ts';
export { createResolver, type Resolve, type ResolverOptions } from './resolver.ts';
export { type AttemptRequest, createSender, type Sender, type SenderOptions } from './sender.ts';
export { AllowedTargetMalformed, checkTargetUrl, createTargetPolicy, resolveAndCheckTarget, type TargetPolicy, type TargetRefusal } from './target-policy.ts';
export type { AttemptError, AttemptResponse, AttemptTimings, AttemptTranscript } from './transcript.ts';
