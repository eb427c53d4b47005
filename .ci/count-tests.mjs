// count-tests.mjs <jest's JSON> <its exit status> <its output> <counts>: prints what failed, in full, and the line of each
// suite; writes "<passed> <failed>" to the file <counts>. Node 20, no dependency.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const [report = '', status = '1', log = '', counts = ''] = process.argv.slice(2);
const output = readFileSync(log, 'utf8');
const say = (text) => console.log(text);

if (!existsSync(report)) {
  say(`the tests did not run to their end (exit ${status}):\n${output}`);
  writeFileSync(counts, '0 1\n');
} else {
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  for (const { status: suite, name, message } of testResults) if (suite === 'failed') say(`FAIL  ${name}\n${message}`);
  for (const line of output.split('\n')) if (/^\w[\w -]*: \d+ passed, \d+ failed, left out: /.test(line)) say(`      ${line}`);
  const unexplained = failed === 0 && status !== '0';
  if (unexplained) say(`no test failed, yet the run did (exit ${status}):\n${output}`);
  writeFileSync(counts, `${numPassedTests} ${failed + (unexplained ? 1 : 0)}\n`);
}
