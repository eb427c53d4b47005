// `npm run soak`: three servers, Redis and an event store under faults; counts what was promised. `-- --seed 4711` for the same choices again.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady();
runPinned(['--conditions=source', '--disable-warning=ExperimentalWarning', join(root, 'test', 'support', 'soak', 'main.ts'), ...process.argv.slice(2)], { cwd: root });
