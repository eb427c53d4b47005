/** Limits of the outside contract, the same on every engine. */
export const limits = {
  eventDataBytes: 256 * 1024,
  requestBodyBytes: 8 * 1024 * 1024,
  eventsPerRequest: 1_000,
  /** Principals that a request may act on behalf of. */
  onBehalfOf: 32,
  /** Approvers that a policy may list. */
  approvers: 100,
  /** How long a replaced signing secret may still sign beside the new one. */
  graceSeconds: 7 * 24 * 60 * 60,
  /** How long one request to a receiver may take as a whole. */
  leastTimeoutMs: 1_000,
  timeoutMs: 30_000,
  /** Requests in a second that a subscription may be limited to. */
  rateLimit: 1_000,
  /** Things wrong with a request that its refusal tells: it can be wrong in a million places. */
  toldErrors: 100,
  /** Levels of nested objects and arrays in a body. */
  jsonDepth: 128,
  /** Probes of one process that wait for their receiver at the same time. */
  probesInFlight: 10,
  pageSize: 500,
  defaultPageSize: 50,
  waitForMs: 2_000,
  /** Event streams that one process has open at once. */
  eventStreams: 256,
} as const;
