#!/usr/bin/env node
// `kf` from a checkout: starts the built CLI on the pinned Node; prepares the checkout first when it is fresh or stale.
import { ensureReady, root, runPinned } from '../scripts/ready.mjs';
import { join } from 'node:path';

ensureReady();
runPinned(['--disable-warning=ExperimentalWarning', join(root, 'dist', 'apps', 'cli', 'main.js'), ...process.argv.slice(2)]);
