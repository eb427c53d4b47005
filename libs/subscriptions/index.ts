export { subscriptionAnnouncements } from './announcements.ts';
export { decideSubscription, defaultGraceSeconds, defaultTimeoutMs, maxGraceSeconds, type ProposedSecret, type ProposedValue, refuseMissing, type SubscriptionCommand, type SubscriptionDecision, subscriptionNotFound, tombstoneDays } from './decider.ts';
export { type DeliveryMode, deliveryModes, type HeaderVersion, type PauseReason, type SecretKind, type SecretVersion, type SubscriptionEvent, type SubscriptionSettings } from './events.ts';
export { type Ending, type LifecycleOptions, type ShredOutput, subscriptionLifecycle } from './lifecycle-saga.ts';
export { compileMatcher, isInForce, type Matchable, type MatchableVersion, type Matcher } from './matcher.ts';
export { globMatches, isEventType, maxPatternLength, namesOperationalEvents, parsePattern, patternMatches } from './pattern.ts';
export { subscriptionEvent, subscriptionProjection, type SubscriptionRow, subscriptionTable, type SubscriptionVersionRow, subscriptionVersionTable } from './projection.ts';
export { type DeletedSubscription, evolveSubscription, headerVersions, initialSubscription, type LiveSubscription, signingSecrets, type SubscriptionState } from './state.ts';
export { versionAfter, type VersionSettings } from './version-after.ts';
