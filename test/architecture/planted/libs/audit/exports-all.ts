// violates: no-restricted-syntax
export * from './names.ts';
