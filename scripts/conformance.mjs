// `npm run conformance`: a Countersign server behind the control plane of a conformance suite (docs/conformance.md). `-- --port 9090` for a port of your choice.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady();
runPinned(['--enable-source-maps', join(root, 'dist', 'test', 'support', 'conformance', 'main.js'), ...process.argv.slice(2)]);
