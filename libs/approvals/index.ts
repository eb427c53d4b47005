export { type ApprovalBinding, type ApprovalEvent, type ApprovalPolicy, type ApprovalPolicyEvent, type BindingLevel, type GateableCommand, gateableCommands, type Vote } from './events.ts';
