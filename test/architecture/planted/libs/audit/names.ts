// violates: no-restricted-syntax
export class SealService {}
