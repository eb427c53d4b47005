// violates: complexity
export const tangled = (a: number, b: number, c: number): number =>
  a > 1 && b > 1 && c > 1 ? 1 : a > 2 && b > 2 && c > 2 ? 2 : a > 3 && b > 3 && c > 3 ? 3 : 4;
