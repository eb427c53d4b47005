import { Pool } from 'undici';

/** A keep-alive client of one server. */
export interface Client {
  /** The body of a 200; throws what else was answered. */
  post(path: string, body: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  get(path: string): Promise<string>;
  close(): Promise<void>;
}

export function connect(url: string, connections: number, key?: string): Client {
  const pool = new Pool(url, { connections, pipelining: 1 });
  const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const request = async (method: 'GET' | 'POST', path: string, body: string | null, headers: Readonly<Record<string, string>>): Promise<string> => {
    const answer = await pool.request({ method, path, body, headers: { ...authorization, ...headers } });
    const text = await answer.body.text();
    if (answer.statusCode !== 200) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
    return text;
  };
  return {
    post: (path, body, headers = {}) => request('POST', path, body, { 'content-type': 'application/json', ...headers }),
    get: (path) => request('GET', path, null, {}),
    close: () => pool.close(),
  };
}
