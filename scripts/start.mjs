// `npm start`: a fresh clone becomes a running server.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady();
runPinned(['--enable-source-maps', join(root, 'dist', 'apps', 'server', 'main.js'), ...process.argv.slice(2)]);
