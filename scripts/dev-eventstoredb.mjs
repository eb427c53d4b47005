// `npm run dev:eventstoredb`: a test server that speaks EventStoreDB's protocol; it keeps nothing. `-- --port 2114` for another port.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady({ build: false });
runPinned(['--conditions=source', '--disable-warning=ExperimentalWarning', join(root, 'test', 'support', 'eventstoredb', 'main.ts'), ...process.argv.slice(2)], { cwd: root });
