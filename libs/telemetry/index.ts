export { createLog, type Log } from './log.ts';
export { createMetrics, type Gauges, type Metrics } from './metrics.ts';
