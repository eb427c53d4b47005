// `npm run demo`: a scripted tour against a server it starts itself in a temporary folder.
import { join } from 'node:path';
import { ensureReady, root, runPinned } from './ready.mjs';

ensureReady();
runPinned(['--enable-source-maps', join(root, 'dist', 'test', 'support', 'demo', 'main.js')]);
