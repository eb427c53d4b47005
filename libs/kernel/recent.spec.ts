import { describe, expect, it } from '@jest/globals';
import { Recent } from '#kernel';

const fill = (recent: Recent<number>, from: number, to: number): void => {
  for (let number = from; number <= to; number += 1) recent.set(`n${number}`, number);
};

describe('what was used last', () => {
  it('is kept: at least so many values, at most twice as many', () => {
    const recent = new Recent<number>(3);
    fill(recent, 1, 9);
    expect([4, 7, 8, 9].map((number) => recent.get(`n${number}`))).toEqual([4, 7, 8, 9]);
    expect([1, 2, 3].map((number) => recent.get(`n${number}`))).toEqual([undefined, undefined, undefined]);
  });

  it('is what was asked for, too', () => {
    const recent = new Recent<number>(3);
    fill(recent, 1, 4);
    expect(recent.get('n1')).toBe(1);
    fill(recent, 5, 7);
    expect([recent.get('n1'), recent.get('n2')]).toEqual([1, undefined]);
  });

  it('changes, and goes when it is deleted, wherever it is', () => {
    const recent = new Recent<number>(2);
    fill(recent, 1, 3);
    recent.set('n3', 33);
    expect(recent.get('n3')).toBe(33);
    recent.delete('n1');
    recent.delete('n3');
    expect([recent.get('n1'), recent.get('n3'), recent.get('n2')]).toEqual([undefined, undefined, 2]);
  });
});
