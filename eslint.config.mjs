import tseslint from 'typescript-eslint';

const unordered = ['Service', 'Manager', 'Helper', 'Util', 'Utils', 'Base', 'Common', 'Shared'].join('|');

const named = [
  { selector: 'ExportAllDeclaration', message: 'Name what a lib exports: no `export *`.' },
  { selector: `ClassDeclaration[id.name=/(${unordered})$/]`, message: 'Name the class after what it is (docs: ARCHITECTURE.md, names).' },
  { selector: "MemberExpression[object.name='process'][property.name='env']", message: 'process.env is read in libs/config only.' },
  { selector: "CallExpression[callee.property.name='lookup'][callee.object.name=/^dns/]", message: 'dns.lookup blocks four threads for everybody: resolve with c-ares (libs/webhook-sender).' },
];
const pure = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'What decides takes the time as a value.' },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'What decides takes the time as a value.' },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'What decides takes ids and randomness as values.' },
];
const worldly = ['crypto', 'performance', 'process', 'console', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'fetch'];

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', 'data/**', 'test/architecture/planted/**'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: { allowDefaultProject: ['*.mjs', '*.cjs', 'scripts/*.mjs', 'bin/*.mjs'] }, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A switch counts once: an exhaustive one is a table, not a tangle.
      complexity: ['error', { max: 8, variant: 'modified' }],
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true, argsIgnorePattern: '^_' }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { allowDefaultCaseForExhaustiveSwitch: false, considerDefaultExhaustiveForUnions: true }],
      'no-restricted-syntax': ['error', ...named],
      'no-restricted-imports': [
        'error',
        {
          paths: [
            ...['dns', 'node:dns', 'dns/promises', 'node:dns/promises'].map((name) => ({ name, importNames: ['lookup'], message: 'dns.lookup blocks four threads for everybody: resolve with c-ares (libs/webhook-sender).' })),
            ...['process', 'node:process'].map((name) => ({ name, importNames: ['env'], message: 'process.env is read in libs/config only.' })),
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.mjs', '**/*.cjs'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { 'no-restricted-syntax': 'off', 'no-console': 'off', '@typescript-eslint/explicit-module-boundary-types': 'off', '@typescript-eslint/no-require-imports': 'off' },
  },
  {
    files: ['libs/{kernel,subscriptions,publishing,deliveries,recoveries,approvals,access}/**/*.ts'],
    rules: {
      'no-restricted-syntax': ['error', ...named, ...pure],
      'no-restricted-globals': ['error', ...worldly.map((name) => ({ name, message: 'The kernel and the domain touch nothing outside: take it as a value or through a port.' }))],
    },
  },
  {
    files: ['libs/**/*.ts', 'apps/server/**/*.ts'],
    ignores: ['libs/{kernel,subscriptions,publishing,deliveries,recoveries,approvals,access}/**'],
    rules: { 'no-restricted-globals': ['error', { name: 'fetch', message: 'Outgoing requests leave through libs/webhook-sender, which asks where to.' }] },
  },
  // Nest resolves constructor parameters from their runtime types, so a type-only import there would break injection.
  { files: ['apps/server/**/*.ts'], rules: { '@typescript-eslint/consistent-type-imports': 'off' } },
  {
    files: ['**/*.spec.ts', 'test/**/*.ts', 'bench/**/*.ts'],
    rules: { 'max-lines-per-function': 'off', 'no-console': 'off' },
  },
  {
    files: ['libs/config/**/*.ts', 'test/**/*.ts', 'bench/**/*.ts', '**/*.spec.ts'],
    rules: { 'no-restricted-syntax': 'off', 'no-restricted-imports': 'off', 'no-restricted-globals': 'off' },
  },
);
