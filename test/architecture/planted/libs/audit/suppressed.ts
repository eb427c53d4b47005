// violates: unused-directive
// eslint-disable-next-line no-console
export const quiet = 1;
