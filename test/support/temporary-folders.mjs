// Where tests make their temporary folders: below one that goes with the run, whatever became of the tests.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Jest calls it before it starts its workers, which inherit the variable that `os.tmpdir()` reads. */
export default function setUp() {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-tests-'));
  // A test runs programs as somebody who owns nothing (e2e/image.ts).
  chmodSync(folder, 0o711);
  process.env.TMPDIR = folder;
  process.once('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  // Without a listener they end the process at once.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(1));
}
