import type { OpenStatus } from './port.ts';
import type { Tenant } from './tenants.ts';

/** How many times what is still free a tenant may hold: alone it gets to three quarters; its first attempts to two thirds; its retries, or those of endpoints that are not trusted, to half. */
const tenantMultiple = 3;
const kindMultiples: Readonly<Record<OpenStatus, number>> = { PENDING: 2, SCHEDULED: 1 };
const untrustedMultiple = 1;
/** While less room than this share is left, each subscription has fewer slots. */
const scarceShare = 0.2;

/**
 * How much must be more than free for somebody who holds `held` to take more of what is shared, when nobody may hold more than a
 * multiple of what is free. So whoever holds little always finds room, and nothing is kept empty for anybody by name.
 * Choudhury and Hahne, "Dynamic queue length thresholds in a shared memory ATM switch", 1996.
 */
const needFor = (held: number, multiple: number): number => held / multiple;

/** Whether one tenant may take more of what all tenants share. */
export const hasTenantRoom = (held: number, all: number, limit: number): boolean => limit - all > needFor(held, tenantMultiple);

/** Who takes slots: a subscription, as far as it matters here. */
export interface SlotHolder {
  readonly tenant: Tenant;
  held: number;
  /** False when its endpoint answered badly or late the last time: its requests may hang until their timeouts. */
  isTrusted: boolean;
}

/** The requests that may be under way at a time, those being prepared included; each tenant has its share of them, and in it first attempts, retries and endpoints that are not trusted have theirs. */
export class Slots {
  readonly #limit: number;
  readonly #perHolder: number;
  #taken = 0;
  /** Told of each tenant that needs less than before. */
  onEased: (tenant: Tenant) => void = () => undefined;

  constructor(limit: number, perHolder: number) {
    this.#limit = limit;
    this.#perHolder = perHolder;
  }

  get taken(): number {
    return this.#taken;
  }

  get free(): number {
    return this.#limit - this.#taken;
  }

  /** How much must be more than free for such a request. */
  need(tenant: Tenant, kind: OpenStatus, isTrusted: boolean): number {
    const need = Math.max(needFor(tenant.held, tenantMultiple), needFor(tenant.heldBy[kind], kindMultiples[kind]));
    return isTrusted ? need : Math.max(need, needFor(tenant.untrusted, untrustedMultiple));
  }

  /** Whether this one may take one more: where room is scarce each has fewer, and its first as long as there is any. */
  hasRoom({ tenant, held, isTrusted }: SlotHolder, kind: OpenStatus): boolean {
    return held < (this.#perHolder * (this.free - this.need(tenant, kind, isTrusted))) / (scarceShare * this.#limit);
  }

  take(holder: SlotHolder, kind: OpenStatus): void {
    this.#count(holder, kind, 1);
  }

  give(holder: SlotHolder, kind: OpenStatus): void {
    this.#count(holder, kind, -1);
  }

  trust(holder: SlotHolder, isTrusted: boolean): void {
    if (holder.isTrusted === isTrusted) return;
    holder.isTrusted = isTrusted;
    holder.tenant.untrusted += isTrusted ? -holder.held : holder.held;
    if (isTrusted) this.onEased(holder.tenant);
  }

  #count(holder: SlotHolder, kind: OpenStatus, more: 1 | -1): void {
    const { tenant } = holder;
    this.#taken += more;
    holder.held += more;
    tenant.held += more;
    tenant.heldBy[kind] += more;
    if (!holder.isTrusted) tenant.untrusted += more;
    if (more < 0) this.onEased(tenant);
  }
}
