// count-tests.mjs <jest's JSON> <its exit status> <its output>: prints what failed, in full, and the line of each suite to
// stderr, and "<passed> <failed>" to stdout. Node 20, no dependency.
import { existsSync, readFileSync } from 'node:fs';

const [report = '', status = '1', log = ''] = process.argv.slice(2);
const output = readFileSync(log, 'utf8');
const say = (text) => process.stderr.write(`${text}\n`);

if (!existsSync(report)) {
  say(`the tests did not run to their end (exit ${status}):\n${output}`);
  console.log('0 1');
} else {
  const { numPassedTests, numFailedTests, numRuntimeErrorTestSuites, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  for (const { status: suite, name, message } of testResults) if (suite === 'failed') say(`FAIL  ${name}\n${message}`);
  for (const line of output.split('\n')) if (/^\w[\w -]*: \d+ passed, \d+ failed, left out: /.test(line)) say(`      ${line}`);
  const unexplained = failed === 0 && status !== '0';
  if (unexplained) say(`no test failed, yet the run did (exit ${status}):\n${output}`);
  console.log(`${numPassedTests} ${failed + (unexplained ? 1 : 0)}`);
}
