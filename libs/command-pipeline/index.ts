export { type Caller, type CommandAnswer, type CommandPipeline, type CommandRequest, type DryRunAnswer } from './port.ts';
