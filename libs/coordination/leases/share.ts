/**
 * How many of `total` leases a member may hold. The shares add up to `total` and differ by one at most; who gets one more follows from
 * the order of the members, which all of them know. Zero for who is no member.
 */
export function shareOf(total: number, members: readonly string[], member: string): number {
  const rank = [...members].sort().indexOf(member);
  if (rank < 0) return 0;
  return Math.floor(total / members.length) + (rank < total % members.length ? 1 : 0);
}
