/** By its form, not by its class: the native module has one class per process, test runners load the package several times. */
export const isSqliteError = (error: unknown): error is Error & { readonly code: string } =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' && error.code.startsWith('SQLITE_');
