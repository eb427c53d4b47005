/**
 * The direction of dependencies, as rules a machine checks (ARCHITECTURE.md says why each is there):
 * kernel <- domain <- command-pipeline, read-models, dispatching <- apps; contracts <- apps.
 */
const domain = '^libs/(subscriptions|publishing|deliveries|recoveries|approvals|access)/';
const spec = '\\.spec\\.ts$';
const io = '^(node:)?(fs|fs/promises|net|http|https|http2|dns|dns/promises|child_process|worker_threads|tls|dgram|os|process|timers|timers/promises|perf_hooks)$';

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    { name: 'kernel-imports-nothing', severity: 'error', from: { path: '^libs/kernel/', pathNot: spec }, to: { pathNot: '^libs/kernel/|^(node:)?crypto$' } },
    { name: 'kernel-hashes-in-one-file', severity: 'error', from: { path: '^libs/kernel/', pathNot: `^libs/kernel/digest\\.ts$|${spec}` }, to: { path: '^(node:)?crypto$' } },
    { name: 'domain-imports-kernel-only', severity: 'error', from: { path: domain, pathNot: spec }, to: { pathNot: `${domain}|^libs/kernel/` } },
    { name: 'domain-reaches-no-io', severity: 'error', from: { path: domain, pathNot: spec }, to: { path: `${io}|node_modules`, reachable: true } },
    { name: 'libs-through-their-entry', severity: 'error', from: { path: '^(libs|apps)/([^/]+)/' }, to: { path: '^libs/([^/]+)/', pathNot: ['^libs/$2/', '/index\\.ts$'] } },
    { name: 'nobody-imports-their-own-entry', severity: 'error', from: { path: '^libs/([^/]+)/', pathNot: `/index\\.ts$|${spec}` }, to: { path: '^libs/$1/index\\.ts$' } },
    { name: 'nest-only-in-the-server', severity: 'error', from: { path: '^(libs|apps/cli)/' }, to: { path: 'node_modules/@nestjs/' } },
    { name: 'contracts-know-no-lib', severity: 'error', from: { path: '^libs/contracts/', pathNot: spec }, to: { path: '^libs/', pathNot: '^libs/(contracts|kernel)/' } },
    { name: 'sql-only-in-the-sqlite-adapters', severity: 'error', from: { pathNot: '^(libs/(event-store/sqlite|read-models)|test|bench)/' }, to: { path: 'node_modules/better-sqlite3' } },
    { name: 'outgoing-http-only-in-the-sender', severity: 'error', from: { path: '^(libs|apps/server)/', pathNot: `^libs/webhook-sender/|${spec}` }, to: { path: ['node_modules/undici/', '^(node:)?(http|https|http2|net|tls|dgram)$'], dependencyTypesNot: ['type-only'] } },
    { name: 'clients-know-the-contract-only', severity: 'error', from: { path: '^apps/cli/', pathNot: spec }, to: { path: '^(libs|apps)/', pathNot: '^apps/cli/|^libs/(contracts|kernel|config)/|^libs/webhook-sender/signing' } },
    { name: 'libs-know-no-app', severity: 'error', from: { path: '^libs/' }, to: { path: '^apps/' } },
    { name: 'production-imports-no-tests', severity: 'error', from: { path: '^(libs|apps)/', pathNot: spec }, to: { path: '^(test|bench)/' } },
    { name: 'no-undeclared-packages', severity: 'error', from: {}, to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown', 'undetermined'] } },
    { name: 'no-unresolved', severity: 'error', from: {}, to: { couldNotResolve: true } },
    { name: 'no-dev-packages-in-production', severity: 'error', from: { path: '^(libs|apps)/', pathNot: spec }, to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] } },
  ],
  options: {
    exclude: { path: '^test/architecture/planted/' },
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { conditionNames: ['source', 'import', 'node', 'require', 'default', 'types'], exportsFields: ['exports'], mainFields: ['module', 'main', 'types'] },
  },
};
