import { describe, expect, it } from '@jest/globals';
import { Recent } from '#kernel';

const fill = (recent: Recent<number>, from: number, to: number): void => {
  for (let number = from; number <= to; number += 1) recent.set(`n${number}`, number);
};

describe('what was used last', () => {
  it('is kept: so many values at most, and half as many for certain', () => {
    const recent = new Recent<number>(6);
    fill(recent, 1, 9);
    expect([4, 7, 8, 9].map((number) => recent.get(`n${number}`))).toEqual([4, 7, 8, 9]);
    expect([1, 2, 3].map((number) => recent.get(`n${number}`))).toEqual([undefined, undefined, undefined]);
  });

  it('is what was asked for, too', () => {
    const recent = new Recent<number>(6);
    fill(recent, 1, 4);
    expect(recent.get('n1')).toBe(1);
    fill(recent, 5, 7);
    expect([recent.get('n1'), recent.get('n2')]).toEqual([1, undefined]);
  });

  it('weighs no more than it may: what is heavy drives out more, and what is too heavy is not kept', () => {
    const recent = new Recent<number>(20, (number) => number);
    fill(recent, 1, 4);
    recent.set('n5', 5);
    recent.set('n5', 6);
    expect([1, 2, 3, 4, 5].map((number) => recent.has(`n${number}`))).toEqual([true, true, true, true, true]);
    recent.set('n9', 9);
    expect([1, 5, 9].map((number) => recent.has(`n${number}`))).toEqual([false, true, true]);
    recent.set('n5', 11);
    expect(recent.get('n5')).toBeUndefined();
  });

  it('changes, and goes when it is deleted, wherever it is', () => {
    const recent = new Recent<number>(4);
    fill(recent, 1, 3);
    recent.set('n3', 33);
    expect(recent.get('n3')).toBe(33);
    recent.delete('n1');
    recent.delete('n3');
    expect([recent.get('n1'), recent.get('n3'), recent.get('n2')]).toEqual([undefined, undefined, 2]);
  });
});
