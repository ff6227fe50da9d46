/** Reads a report of vitest's JSON reporter and prints `<passed> <failed>`. What was skipped counts as failed: in CI nothing is. */
import { readFileSync } from 'node:fs';

interface Report {
  readonly numPassedTests: number;
  readonly numTotalTests: number;
  readonly success: boolean;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const [file = ''] = process.argv.slice(2);
const report = JSON.parse(readFileSync(file, 'utf8')) as Report;

const tests = report.testResults.flatMap((result) => result.assertionResults);
const passed = tests.filter((test) => test.status === 'passed').length;
const notPassed = tests.filter((test) => test.status !== 'passed');
for (const test of notPassed) console.error(`${test.status}: ${test.fullName}`);

// A file can fail without any of its tests failing: when it cannot be loaded, or leaves something open.
const files = report.testResults.filter(
  (result) => result.status === 'failed' && result.assertionResults.every((test) => test.status !== 'failed'),
);
for (const { name } of files) console.error(`failed: ${name}`);

const failed = notPassed.length + files.length;
console.log(passed, failed === 0 && !report.success ? 1 : failed);
