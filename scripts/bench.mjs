// `npm run bench [-- --only <name>] [-- --smoke]`: the benchmarks, each beside its ceiling in the same run.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady();
runPinned(['--enable-source-maps', join(root, 'dist', 'bench', 'main.js'), ...process.argv.slice(2)]);
