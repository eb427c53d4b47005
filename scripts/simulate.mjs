// `npm run simulate -- --seed 4711`: one schedule of the simulation again; `-- --schedules 10000` many.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady({ build: false });
runPinned(['--conditions=source', '--disable-warning=ExperimentalWarning', join(root, 'test', 'simulation', 'run.ts'), ...process.argv.slice(2)], { cwd: root });
