// `node scripts/openapi.mjs [--check]`: writes openapi.yaml from the code, or fails when it is not what the code says.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureReady, pinnedNode, root } from './ready.mjs';

ensureReady();
const committed = join(root, 'openapi.yaml');
const printed = spawnSync(pinnedNode, [join(root, 'dist', 'apps', 'server', 'openapi', 'print.js')], { cwd: root, encoding: 'utf8', maxBuffer: 1 << 26 });
if (printed.status !== 0) {
  process.stderr.write(`${printed.stderr}\nthe OpenAPI document can't be made\n`);
  process.exit(1);
}
if (!process.argv.includes('--check')) {
  writeFileSync(committed, printed.stdout);
} else if (!existsSync(committed) || readFileSync(committed, 'utf8') !== printed.stdout) {
  process.stderr.write(`openapi.yaml is not what the code says (first different line: ${firstDifference()}): run node scripts/openapi.mjs\n`);
  process.exit(1);
}

function firstDifference() {
  const [before, after] = [existsSync(committed) ? readFileSync(committed, 'utf8') : '', printed.stdout].map((text) => text.split('\n'));
  const line = after.findIndex((text, index) => text !== before[index]);
  return line < 0 ? after.length + 1 : line + 1;
}
