const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

/** The code of what the system or `fetch` failed with (`ENOENT`, `ECONNREFUSED`); of the first attempt when there were several. Empty when it has none. */
export function errorCode(error: unknown): string {
  if (!isObject(error)) return '';
  if (typeof error['code'] === 'string' && error['code'] !== '') return error['code'];
  if (Array.isArray(error['errors'])) return errorCode(error['errors'][0]);
  return errorCode(error['cause']);
}

/** What lies at the bottom of an error: its code, else the words of its innermost cause. */
export const rootCause = (error: unknown): string => errorCode(error) || (isObject(error) && isObject(error['cause']) ? errorText(error['cause']) : '');

/** What an error says. */
export const errorText = (error: unknown): string => (isObject(error) && typeof error['message'] === 'string' ? error['message'] : String(error));
