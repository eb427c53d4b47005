import { createInFlightLeases, createLeaseTable } from '#coordination/leases';
import { leasesContract } from '../../../test/support/leases-contract.ts';
import { simulatedClock } from '../../../test/support/simulated-clock.ts';

leasesContract('in one process', () => {
  const clock = simulatedClock();
  return Promise.resolve({ leases: createLeaseTable(clock), inFlight: createInFlightLeases(clock), pass: (ms) => clock.advance(ms), dispose: () => Promise.resolve() });
});
