import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** What is read when somebody scrapes. */
export interface Gauges {
  /** Deliveries that are neither delivered nor dead-lettered, and when the oldest of them was scheduled (null: none is open). */
  openDeliveries(): Promise<{ readonly count: number; readonly oldestAtMs: number | null }>;
  projections(): readonly { readonly name: string; readonly behindMs: number; readonly state: string }[];
  /** Subscriptions to whose endpoints this process sends little because they fail. */
  endpointsFailing(): number;
  now(): number;
}

/** What the parts of a server count. No label names a tenant, a site, a resource or a key. */
export interface Metrics {
  command(type: string, outcome: string): void;
  published(outcome: string, count: number): void;
  /** One attempt: how it ended, and how long the request took. */
  attempt(outcome: string, durationMs: number): void;
  /** One commit of the log: how many events went in together. */
  commit(events: number): void;
  /** One answered request; `route` is the pattern, never the path. */
  request(method: string, route: string, status: number, durationMs: number): void;
  /** The text form of Prometheus, and its content type. */
  scrape(): Promise<{ readonly text: string; readonly contentType: string }>;
}

const latencySeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30];

/** Counts for one server in a registry of its own. `process`: also memory, event loop and garbage collection of this process. */
export function createMetrics(gauges: Gauges, options: { readonly process: boolean } = { process: false }): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.process) collectDefaultMetrics({ register: registry });
  const commands = new Counter({ name: 'countersign_commands_total', help: 'Commands answered, by type and outcome.', labelNames: ['type', 'outcome'], registers });
  const published = new Counter({ name: 'countersign_events_published_total', help: 'Events offered for publishing, by outcome.', labelNames: ['outcome'], registers });
  const attempts = new Counter({ name: 'countersign_delivery_attempts_total', help: 'Delivery attempts, by outcome.', labelNames: ['outcome'], registers });
  const attemptSeconds = new Histogram({ name: 'countersign_delivery_attempt_seconds', help: 'Duration of delivery attempts.', buckets: latencySeconds, registers });
  const commitEvents = new Histogram({ name: 'countersign_commit_batch_events', help: 'Events that went to disk in one commit.', buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000], registers });
  const requestSeconds = new Histogram({ name: 'countersign_http_request_seconds', help: 'Requests answered, by method, route and status.', labelNames: ['method', 'route', 'status'], buckets: latencySeconds, registers });
  watch(registers, gauges);
  return {
    command: (type, outcome) => commands.inc({ type, outcome }),
    published: (outcome, count) => published.inc({ outcome }, count),
    attempt(outcome, durationMs) {
      attempts.inc({ outcome });
      attemptSeconds.observe(durationMs / 1_000);
    },
    commit: (events) => commitEvents.observe(events),
    request: (method, route, status, durationMs) => requestSeconds.observe({ method, route, status }, durationMs / 1_000),
    scrape: async () => ({ text: await registry.metrics(), contentType: registry.contentType }),
  };
}

function watch(registers: Registry[], gauges: Gauges): void {
  // Two gauges of one scrape are collected at once, and to count what is open takes the read models time.
  let counting: ReturnType<Gauges['openDeliveries']> | undefined;
  const openDeliveries: Gauges['openDeliveries'] = () => {
    counting ??= gauges.openDeliveries().finally(() => (counting = undefined));
    return counting;
  };
  new Gauge({
    name: 'countersign_deliveries_open',
    help: 'Deliveries that are neither delivered nor dead-lettered.',
    registers,
    async collect() {
      this.set((await openDeliveries()).count);
    },
  });
  new Gauge({
    name: 'countersign_oldest_undelivered_seconds',
    help: 'Age of the oldest open delivery; 0 when there is none.',
    registers,
    async collect() {
      const { oldestAtMs } = await openDeliveries();
      this.set(oldestAtMs === null ? 0 : Math.max(0, gauges.now() - oldestAtMs) / 1_000);
    },
  });
  new Gauge({
    name: 'countersign_endpoints_failing',
    help: 'Subscriptions whose endpoint fails: this process tries one request at a time until one is answered.',
    registers,
    collect() {
      this.set(gauges.endpointsFailing());
    },
  });
  new Gauge({
    name: 'countersign_projection_lag_seconds',
    help: 'Time since the projection last stood at the head of the log.',
    labelNames: ['projection'],
    registers,
    collect() {
      for (const { name, behindMs } of gauges.projections()) this.set({ projection: name }, behindMs / 1_000);
    },
  });
  new Gauge({
    name: 'countersign_projection_stopped',
    help: '1 for a projection that has stopped at an event it cannot read.',
    labelNames: ['projection'],
    registers,
    collect() {
      for (const { name, state } of gauges.projections()) this.set({ projection: name }, state === 'STOPPED' ? 1 : 0);
    },
  });
}
