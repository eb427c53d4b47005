// A jest reporter: one line per suite at the end, with what it left out and why. A test that this machine can't run says
// in its own name what is missing, so the names of what was skipped are the reasons.
import { oneEngine } from '../test/e2e/one-engine.mjs';

export default class Suites {
  #write;

  constructor(_globalConfig, { write = (text) => process.stderr.write(text) } = {}) {
    this.#write = write;
  }

  onRunComplete(_contexts, { testResults }) {
    const suites = Map.groupBy(testResults, nameOf);
    for (const [name, files] of [...suites].sort(([a], [b]) => a.localeCompare(b))) this.#write(`${lineOf(name, files)}\n`);
  }
}

const nameOf = ({ displayName }) => displayName?.name ?? 'tests';
const sum = (files, count) => files.reduce((total, file) => total + count(file), 0);

function lineOf(name, files) {
  const passed = sum(files, (file) => file.numPassingTests);
  const failed = sum(files, (file) => file.numFailingTests + (file.testExecError ? 1 : 0));
  const reasons = Map.groupBy(files.flatMap(leftOut), (reason) => reason);
  const list = [...filesLeftOut(name), ...[...reasons].map(([reason, tests]) => `${tests.length} (${reason})`)].join('; ');
  return `${name}: ${passed} passed, ${failed} failed, left out: ${list || 'nothing'}`;
}

const filesLeftOut = (name) => (name === 'e2e-eventstoredb' ? Object.entries(oneEngine).map(([file, why]) => `all of ${file} (${why})`) : []);
const leftOut = ({ testResults = [] }) =>
  testResults.filter(({ status }) => status === 'pending' || status === 'todo').map(({ ancestorTitles, title }) => ancestorTitles.join(', ') || title);
