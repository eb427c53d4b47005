// violates: @typescript-eslint/switch-exhaustiveness-check
export function name(kind: 'one' | 'two'): string | undefined {
  switch (kind) {
    case 'one':
      return 'One';
  }
}
