/**
 * Prints what TypeScript has to say of the files of a project, as `tsc` does: `path(line,column): error TS…`. Sources that
 * these import are read, not checked: they have a check of their own, which takes most of the time.
 */
import { basename, join } from 'node:path';
import ts from 'typescript';

const directory = process.argv[2] ?? '.';
const path = join(directory, 'tsconfig.json');
const { config, error } = ts.readConfigFile(path, ts.sys.readFile);
const { options, fileNames, errors } = ts.parseJsonConfigFileContent(config, ts.sys, directory, undefined, path);
const program = ts.createProgram(fileNames, options);
const found = [
  ...(error ? [error] : []),
  ...errors,
  ...program.getOptionsDiagnostics(),
  ...fileNames.flatMap((name) => {
    const file = program.getSourceFile(name);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
  }),
];
for (const { file, start, code, messageText } of found) {
  const text = `error TS${code}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  const at = file && start !== undefined ? ts.getLineAndCharacterOfPosition(file, start) : undefined;
  console.log(file && at ? `${basename(file.fileName)}(${at.line + 1},${at.character + 1}): ${text}` : text);
}
