// The receiver of docker-compose.yml: prints what it is sent, and takes only what is signed with its secret, as the
// Standard Webhooks specification says. No dependency.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

const { SECRET: secret = '', PORT: port = '3000' } = process.env;
const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
if (key.length < 24) throw new Error('SECRET must be whsec_ and the base64 of 24 bytes or more');
const toleranceSeconds = 300;

function isSigned({ 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures = '' }, body) {
  if (!(Math.abs(Date.now() / 1_000 - Number(timestamp)) <= toleranceSeconds)) return false;
  const right = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest();
  return signatures.split(' ').some((signature) => {
    const given = Buffer.from(signature.replace(/^v1,/, ''), 'base64');
    return given.length === right.length && timingSafeEqual(given, right);
  });
}

async function receive(request, response) {
  const body = await text(request);
  const signed = isSigned(request.headers, body);
  console.log(signed ? 'verified' : 'refused', request.headers['webhook-id'] ?? '-', body);
  response.writeHead(signed ? 204 : 401).end();
}

// A request that breaks off is no request.
createServer((request, response) => receive(request, response).catch(() => response.destroy())).listen(Number(port), () => console.log(`listening on port ${port}`));
process.on('SIGTERM', () => process.exit(0));
