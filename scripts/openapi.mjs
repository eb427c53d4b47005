// `npm run openapi`: writes openapi.yaml from the code; `-- --check`: fails when the committed file is not what the code says.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureReady, pinnedNode, root } from './ready.mjs';

const committed = join(root, 'openapi.yaml');

function write(file) {
  const made = spawnSync(pinnedNode, [join(root, 'dist', 'apps', 'server', 'openapi', 'write.js'), file], { cwd: root, encoding: 'utf8' });
  if (made.status === 0) return;
  process.stderr.write(`${made.stderr}\nthe OpenAPI document can't be made\n`);
  process.exit(1);
}

function check() {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-openapi-'));
  const fresh = join(folder, 'openapi.yaml');
  write(fresh);
  const after = readFileSync(fresh, 'utf8').split('\n');
  const before = existsSync(committed) ? readFileSync(committed, 'utf8').split('\n') : [];
  rmSync(folder, { recursive: true, force: true });
  const line = Array.from({ length: Math.max(before.length, after.length) }).findIndex((_, index) => before[index] !== after[index]);
  if (line < 0) return;
  process.stderr.write(`openapi.yaml is not what the code says (first at line ${line + 1}): run npm run openapi\n`);
  process.exit(1);
}

ensureReady();
if (process.argv.includes('--check')) check();
else write(committed);
