// violates: @typescript-eslint/no-floating-promises, @typescript-eslint/no-explicit-any, eqeqeq, no-console, @typescript-eslint/explicit-module-boundary-types
export function careless(work: () => Promise<void>, value: any): boolean {
  work();
  console.log('done');
  return value == null;
}
