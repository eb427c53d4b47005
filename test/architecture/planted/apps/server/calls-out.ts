// violates: no-restricted-globals
export const call = (): Promise<Response> => fetch('http://127.0.0.1');
