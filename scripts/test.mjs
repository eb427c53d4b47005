// `npm test [-- jest arguments]`: installs and builds what is missing, then runs every test this machine can run, and
// says in one line per suite what it left out and why.
import { ensureReady, root, runPinned } from './ready.mjs';
import { join } from 'node:path';

ensureReady();
// Last, because the option takes every bare word after it.
const reporters = ['--reporters=default', `--reporters=${join(root, 'scripts', 'suites.mjs')}`];
// V8 of Node 24 can abort a process that starts and ends many threads on processors with memory protection keys
// (`Check failed: jit_page.has_value()`); the tests do, a server does not.
runPinned(['--no-memory-protection-keys', join(root, 'node_modules', 'jest', 'bin', 'jest.js'), ...process.argv.slice(2), ...reporters], {
  cwd: root,
  env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`.trim() },
});
