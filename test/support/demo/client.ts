/** What a command or a query came to: status, headers and the parsed answer. */
export interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: Record<string, unknown>;
}

export interface Principal {
  readonly type: 'USER';
  readonly id: string;
}

/** A person with an API key, talking to the server over HTTP. */
export interface Person {
  /** Sends a command in the tenant of the demo. */
  command(commandType: string, payload: object, more?: { readonly idempotencyKey?: string; readonly approvalId?: string; readonly expectedRevision?: number }): Promise<Answer>;
  get(path: string): Promise<Answer>;
  /** Publishes one event whose data is this JSON text, byte for byte. */
  publish(eventId: string, type: string, dataText: string): Promise<Answer>;
}

export const tenant = 'tnt_demo';

let keys = 0;

export function person(url: string, apiKey: string, actor: Principal): Person {
  const call = async (method: string, path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> => {
    const response = await fetch(`${url}${path}`, { method, headers: { authorization: `Bearer ${apiKey}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers }, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    return { status: response.status, replayed: response.headers.get('idempotency-replayed') === 'true', body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> };
  };
  return {
    command: (commandType, payload, { idempotencyKey = `demo-${process.pid}-${(keys += 1)}`, ...more } = {}) => call('POST', `/api/commands/${commandType}`, { 'idempotency-key': idempotencyKey }, JSON.stringify({ tenant, actor, ...more, payload })),
    get: (path) => call('GET', path),
    publish: (eventId, type, dataText) => call('POST', `/api/events?siteId=${tenant}`, {}, `{"eventId":${JSON.stringify(eventId)},"type":${JSON.stringify(type)},"data":${dataText}}`),
  };
}
