import { oneEngine } from './test/e2e/one-engine.mjs';

const shared = {
  testEnvironment: 'node',
  testEnvironmentOptions: { customExportConditions: ['source', 'node', 'node-addons', 'import'] },
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/data/'],
  injectGlobals: true,
};

export default {
  // One worker for each core: most end-to-end tests wait for processes, and by default one core is left idle.
  maxWorkers: '100%',
  // Modules that were loaded for one file are not given back before the worker ends.
  workerIdleMemoryLimit: '1GB',
  // What a test waits for comes; how soon is the machine's affair.
  testTimeout: 30_000,
  globalSetup: '<rootDir>/test/support/temporary-folders.mjs',
  projects: [
    { ...shared, displayName: 'unit', testMatch: ['<rootDir>/libs/**/*.spec.ts', '<rootDir>/apps/**/*.spec.ts'] },
    { ...shared, displayName: 'architecture', testMatch: ['<rootDir>/test/architecture/**/*.spec.ts'] },
    { ...shared, displayName: 'golden', testMatch: ['<rootDir>/test/golden/**/*.spec.ts'] },
    { ...shared, displayName: 'integration', testMatch: ['<rootDir>/test/integration/**/*.spec.ts'] },
    { ...shared, displayName: 'simulation', testMatch: ['<rootDir>/test/simulation/**/*.spec.ts'] },
    { ...shared, displayName: 'e2e', testMatch: ['<rootDir>/test/e2e/**/*.spec.ts'] },
    // Again, with the servers on an EventStoreDB (test/support/e2e/home.ts).
    {
      ...shared,
      displayName: 'e2e-eventstoredb',
      testMatch: ['<rootDir>/test/e2e/**/*.spec.ts'],
      testPathIgnorePatterns: Object.keys(oneEngine).map((name) => `/test/e2e/${name}\\.spec\\.ts$`),
      globals: { engineOfServers: 'eventstoredb' },
    },
  ],
};
