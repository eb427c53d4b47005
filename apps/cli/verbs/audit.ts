import { group, type Part } from '../verb.ts';
import { explain } from './audit-explain.ts';
import { log, refusals } from './audit-log.ts';
import { replay } from './audit-replay.ts';
import { show } from './audit-show.ts';
import { state } from './audit-state.ts';

export const audit: Part = group('audit', 'What happened, who did it, and why', [log, show, state, explain, refusals, replay]);
