// `npm start`: a fresh clone becomes a running server.
import { ensureReady, root, runPinned } from './ready.mjs';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

ensureReady();
const nodeArguments = JSON.parse(readFileSync(join(root, 'apps', 'server', 'node-arguments.json'), 'utf8'));
runPinned([...nodeArguments, join(root, 'dist', 'apps', 'server', 'main.js'), ...process.argv.slice(2)]);
