export type { ProcessClaimed, ProcessHeartbeat, ProcessHeartbeatsEnded, ProcessReleased } from './events.ts';
export { createRoleClaim, type Ending, type RoleAlarm, type RoleClaim, type RoleClaimParts, type RoleClaimStatus } from './role-claim.ts';
