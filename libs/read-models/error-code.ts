/** The `code` of an error of SQLite or the file system; undefined where it has none. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

export const isSqliteError = (error: unknown): boolean => codeOf(error)?.startsWith('SQLITE_') === true;
