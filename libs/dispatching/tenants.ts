import { type Site, siteKey } from '#kernel';
import type { OpenStatus } from './port.ts';

/** How many there are of something, also in all. */
export class Tally {
  #count = 0;
  readonly #all: Tally | undefined;

  constructor(all?: Tally) {
    this.#all = all;
  }

  get count(): number {
    return this.#count;
  }

  add(more: number): void {
    this.#count += more;
    this.#all?.add(more);
  }
}

/** What one environment of a tenant takes of what all share. */
export interface Tenant {
  readonly key: string;
  /** Its subscriptions that are known in memory. */
  lanes: number;
  /** Its requests under way, those being prepared included; of these first attempts and retries, and those to endpoints that are not trusted. */
  held: number;
  readonly heldBy: Record<OpenStatus, number>;
  untrusted: number;
  /** Its deliveries that wait in memory. */
  readonly waiting: Tally;
  /** Its recorded changes that the read model has not shown yet. */
  readonly unshown: Tally;
}

export const newTenant = (key: string, all?: Tenants): Tenant => ({
  key,
  lanes: 0,
  held: 0,
  heldBy: { PENDING: 0, SCHEDULED: 0 },
  untrusted: 0,
  waiting: new Tally(all?.waiting),
  unshown: new Tally(all?.unshown),
});

/** Those that have subscriptions in memory. */
export class Tenants {
  /** Of all together. */
  readonly waiting = new Tally();
  readonly unshown = new Tally();
  readonly #known = new Map<string, Tenant>();

  /** Its tenant, with one more subscription; `left` must follow. */
  joined(site: Site): Tenant {
    const key = siteKey(site);
    const tenant = this.#known.get(key) ?? newTenant(key, this);
    tenant.lanes += 1;
    this.#known.set(key, tenant);
    return tenant;
  }

  left(tenant: Tenant): void {
    tenant.lanes -= 1;
    if (tenant.lanes === 0) this.#known.delete(tenant.key);
  }
}
