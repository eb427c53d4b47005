export { createProcessBoard } from './in-process.ts';
export { type HeardReport, type ProcessBoard, type ProcessReport, reportStandsMs, type RoleReport, type SagaReport } from './port.ts';
