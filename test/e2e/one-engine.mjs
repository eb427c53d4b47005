// The end-to-end suites that do not run a second time with the servers on an EventStoreDB, and why.
import { existsSync } from 'node:fs';

/** By the name of the file without `.spec.ts`. */
export const oneEngine = {
  backup: 'copies the embedded log; an EventStoreDB has means of its own',
  'big-log': 'has an EventStoreDB of its own, with a long log',
  compose: 'has an EventStoreDB of its own, as docker-compose.yml says',
  conformance: 'what a sender puts on the wire, and when, whatever the log',
  'data-folder': 'what stands in the folder of the embedded log: its lock, its keys, the bytes of removed secrets',
  'demo-broken': 'whether the demo notices what is wrong, in any server',
  docs: 'a page that reads no log',
  eventstoredb: 'has an EventStoreDB of its own, which fails on request',
  'full-speed-kills': 'ten kills within seconds; on a log that others may share it takes 15 s to know that who was killed is gone',
  'hand-over': 'has an EventStoreDB of its own, which several servers share',
  image: 'the files of the image, run as they are on a folder',
  'log-copy': 'takes an embedded log to an EventStoreDB',
  'openapi-client': 'whether openapi.yaml makes a client that compiles; the answers of both engines are held against it in the others',
  'private-ca': 'whom outgoing requests trust, whatever the log',
  readme: 'documents',
  'redis-down': 'has an EventStoreDB of its own, which several servers share',
  'redis-leases': 'starts no server',
  'several-processes': 'has an EventStoreDB of its own, which fails on request',
  'store-down': 'has an EventStoreDB of its own, which fails on request',
  server: 'the process on a folder, as `npm start` leaves it: its log, its keys, its port',
  'store-that-forgets': 'has an EventStoreDB of its own, which loses events',
};

for (const name of Object.keys(oneEngine)) if (!existsSync(new URL(`${name}.spec.ts`, import.meta.url))) throw new Error(`test/e2e/one-engine.mjs names ${name}, which is no suite`);
