export { createInFlightLeases, createLeaseTable } from './in-process.ts';
export { type LeaseKeeper, type LeaseKeeperParts, leaseTimes, type LeaseTimes, startLeaseKeeper } from './keeper.ts';
export { type AttemptLease, type HeldLease, type InFlightLeases, inFlightLeaseMs, LeasesUnreachable, type LeaseStep, type LeaseTable, type LeaseView } from './port.ts';
export { shareOf } from './share.ts';
