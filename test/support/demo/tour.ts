import { type Answer, type Person, person, tenant } from './client.ts';
import { type Received, type Receiver, verifies } from './receiver.ts';

/** Something was not as it should be; the message says what was expected and what came. */
export class Unexpected extends Error {
  override readonly name = 'Unexpected';
}

export interface Tour {
  readonly url: string;
  readonly rootKey: string;
  readonly receiver: Receiver;
  /** One line for whoever watches. */
  readonly say: (line: string) => void;
}

const sam = { type: 'USER', id: 'usr_sam' } as const;
const kim = { type: 'USER', id: 'usr_kim' } as const;
const subscription = 'whs_demo';
const rotation = 'RotateWebhookSubscriptionSecret';

function check(what: string, holds: boolean, came: unknown): asserts holds {
  if (!holds) throw new Unexpected(`${what}: expected so, but got ${JSON.stringify(came)}`);
}

const isRefused = (what: string, answer: Answer, status: number, slug: string): void => check(`${what}: ${status} ${slug}`, answer.status === status && String(answer.body['type']).endsWith(`/${slug}`), [answer.status, answer.body['type'], answer.body['detail']]);
const isDone = (what: string, answer: Answer): void => check(what, answer.status === 200, [answer.status, answer.body]);
const resultOf = ({ body }: Answer): Record<string, unknown> => body['result'] as Record<string, unknown>;

/** Everything the tour carries from one stop to the next. */
interface Company extends Tour {
  readonly sam: Person;
  readonly kim: Person;
}

/** The whole tour. Throws `Unexpected` at the first thing that is not as it should be. */
export async function takeTour(tour: Tour): Promise<void> {
  const company = await meet(tour);
  const secret = await subscribe(company);
  await deliver(company, secret);
  await pauseAndResume(company, secret);
  const rotated = await rotate(company, secret);
  await deadLetterAndReplay(company, rotated);
  tour.say('Everything was as it should be.');
}

async function meet(tour: Tour): Promise<Company> {
  tour.say('1. Two people get API keys of their own, made with the root key: Sam asks, Kim decides.');
  const root = person(tour.url, tour.rootKey, { type: 'USER', id: 'root' });
  const keyOf = async (actor: typeof sam | typeof kim): Promise<string> => {
    const answer = await root.command('CreateApiKey', { name: `demo ${actor.id}`, actor, scopes: ['read', 'write', 'approve'].map((right) => `site:${tenant}:${right}`) });
    isDone(`a key for ${actor.id}`, answer);
    return String(resultOf(answer)['secret']);
  };
  return { ...tour, sam: person(tour.url, await keyOf(sam), sam), kim: person(tour.url, await keyOf(kim), kim) };
}

const upsertPayload = (webhookSubscriptionId: string, targetUrl: string, eventPattern = 'version.*'): object => ({ webhookSubscriptionId, eventPattern, targetUrl, signingSecretRef: 'managed', deliveryMode: 'AT_LEAST_ONCE', status: 'ACTIVE' });

async function subscribe({ sam: requester, receiver, say }: Company): Promise<string> {
  say('2. Sam subscribes a receiver. The signing secret is shown once; the same key again changes nothing and shows none.');
  const payload = upsertPayload(subscription, `${receiver.url}/hook`);
  const created = await requester.command('UpsertWebhookSubscription', payload, { idempotencyKey: 'demo-create' });
  isDone('the subscription is created', created);
  const secret = resultOf(created)['secret'];
  check('a whsec_ secret is shown', typeof secret === 'string' && secret.startsWith('whsec_'), secret === null ? null : typeof secret);
  const again = await requester.command('UpsertWebhookSubscription', payload, { idempotencyKey: 'demo-create' });
  check('the same key is a replay', again.status === 200 && again.replayed && again.body['commandId'] === created.body['commandId'], [again.status, again.replayed]);
  check('the secret is not shown twice', resultOf(again)['secret'] === null, 'a secret');
  say('   A target inside the network is refused before anything is sent.');
  const inside = await requester.command('UpsertWebhookSubscription', upsertPayload('whs_inside', 'https://169.254.169.254/latest/meta-data/'));
  isRefused('the metadata address of a cloud', inside, 422, 'target-url-refused');
  return secret;
}

const dataText = '{"id":9007199254740993,"x":1.0}';
const isDeliveryOf = (eventId: string) => (request: Received): boolean => request.body.includes(JSON.stringify(eventId));

async function published({ sam: publisher }: Company, eventId: string): Promise<string> {
  const answer = await publisher.publish(eventId, 'version.published', dataText);
  isDone(`${eventId} is published`, answer);
  const [item] = answer.body['items'] as { status: string; position: string }[];
  check(`${eventId} is accepted`, item?.status === 'ACCEPTED', item);
  return item.position;
}

async function deliver(company: Company, secret: string): Promise<void> {
  company.say('3. An event is published; the receiver verifies it with the standardwebhooks package and gets the data byte for byte.');
  await published(company, 'demo-evt-1');
  const request = await company.receiver.waitFor('the delivery of demo-evt-1', isDeliveryOf('demo-evt-1'));
  check('the signature verifies', verifies(secret, request), request.headers['webhook-signature']);
  check('a signature of another secret does not', !verifies(`whsec_${Buffer.alloc(32, 1).toString('base64')}`, request), 'it verified');
  check('the data arrives byte for byte', request.body.includes(dataText), request.body);
}

async function pauseAndResume(company: Company, secret: string): Promise<void> {
  const { sam: requester, receiver, say } = company;
  say('4. Paused, nothing is sent, and what is published meanwhile is counted; resumed, deliveries go on from the next event.');
  isDone('paused', await requester.command('PauseWebhookSubscription', { webhookSubscriptionId: subscription }));
  await published(company, 'demo-evt-2');
  isDone('resumed', await requester.command('ResumeWebhookSubscription', { webhookSubscriptionId: subscription }));
  await published(company, 'demo-evt-3');
  const request = await receiver.waitFor('the delivery of demo-evt-3', isDeliveryOf('demo-evt-3'));
  check('the signature verifies', verifies(secret, request), request.headers['webhook-signature']);
  // Events are scheduled in log order, so now it is settled what became of the one before.
  const { body } = await requester.get(`/api/webhooks/${subscription}/deliveries?siteId=${tenant}`);
  const scheduled = (body['items'] as { eventId: string }[]).map(({ eventId }) => eventId);
  check('what was published while paused is not delivered', !scheduled.includes('demo-evt-2') && !receiver.received.some(isDeliveryOf('demo-evt-2')), scheduled);
}

async function rotate(company: Company, secret: string): Promise<string> {
  const { sam: requester, kim: approver, receiver, say } = company;
  const payload = { webhookSubscriptionId: subscription };
  say('5. Rotating the secret needs another person. Refused without an approval …');
  const refused = await requester.command(rotation, payload, { idempotencyKey: 'demo-rotate' });
  isRefused('a rotation without an approval', refused, 403, 'approval-required');
  const approvalId = await approved(company, refused);
  say('   … Kim may not use what Sam asked for …');
  isRefused('use by somebody else', await approver.command(rotation, payload, { approvalId }), 403, 'approval-required');
  say('   … Sam may, once, with the very key that was refused before …');
  const done = await requester.command(rotation, payload, { approvalId, idempotencyKey: 'demo-rotate' });
  isDone('the rotation', done);
  const rotated = resultOf(done)['secret'];
  check('a new secret is shown', typeof rotated === 'string' && rotated.startsWith('whsec_') && rotated !== secret, typeof rotated);
  isRefused('a second use', await requester.command(rotation, payload, { approvalId }), 409, 'approval-already-used');
  say('   … and in the grace window receivers can verify with the old secret and with the new one.');
  await published(company, 'demo-evt-4');
  const request = await receiver.waitFor('the delivery of demo-evt-4', isDeliveryOf('demo-evt-4'));
  check('both secrets verify', verifies(secret, request) && verifies(rotated, request), request.headers['webhook-signature']);
  return rotated;
}

async function approved({ sam: requester, kim: approver, say }: Company, refusal: Answer): Promise<string> {
  say('   … so Sam asks for an approval, can\'t grant it, and Kim does …');
  const template = refusal.body['approvalRequest'] as { payload: object };
  const asked = await requester.command('RequestApproval', { ...template.payload, reason: 'demo' });
  isDone('the request', asked);
  const approvalId = String(resultOf(asked)['approvalId']);
  const shown = { approvalId };
  const expectedRevision = Number(asked.body['revision']);
  isRefused('a grant by the requester', await requester.command('GrantApproval', shown, { expectedRevision }), 403, 'approver-conflict');
  isDone('the grant', await approver.command('GrantApproval', shown, { expectedRevision }));
  return approvalId;
}

async function deadLetterAndReplay(company: Company, secret: string): Promise<void> {
  const { sam: requester, receiver, say } = company;
  say('6. A receiver that fails until its attempts are used up: the delivery is a dead letter, and can be replayed.');
  receiver.answer('/hook', 500);
  await published(company, 'demo-evt-5');
  const dead = await waitForStatus(requester, 'demo-evt-5', 'DEAD_LETTERED');
  receiver.answer('/hook', 200);
  const before = receiver.received.length;
  isDone('the replay', await requester.command('ReplayWebhookDelivery', { webhookDeliveryId: dead, resetAttempts: true }));
  const request = await receiver.waitFor('the replayed delivery', (one) => isDeliveryOf('demo-evt-5')(one) && receiver.received.indexOf(one) >= before);
  check('it is the same delivery', request.headers['webhook-id'] === dead, request.headers['webhook-id']);
  check('the signature verifies', verifies(secret, request), request.headers['webhook-signature']);
  await waitForStatus(requester, 'demo-evt-5', 'DELIVERED');
}

const patienceMs = 15_000;

/** The id of the event's delivery, once it has come to the status. */
async function waitForStatus(who: Person, eventId: string, status: string): Promise<string> {
  let last: unknown;
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline; ) {
    const { body } = await who.get(`/api/webhooks/${subscription}/deliveries?siteId=${tenant}`);
    const delivery = (body['items'] as { id: string; eventId: string; status: string }[] | undefined)?.find((one) => one.eventId === eventId);
    if (delivery?.status === status) return delivery.id;
    last = delivery?.status;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Unexpected(`${eventId} comes to ${status}: expected so, but it is ${String(last)}`);
}
