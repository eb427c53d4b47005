/** The code of a file system error (`ENOENT`), which says what is wrong without repeating a path or a content. */
export const errorCode = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown';
