import { describe, expect, it } from '@jest/globals';
import { Positions } from './positions.ts';

function positionsOf(count: number, position: (index: number) => bigint): Positions {
  const positions = new Positions();
  for (let index = 0; index < count; index += 1) positions.push(String(position(index)));
  return positions;
}

describe('the positions of a log', () => {
  it('say which event stands where, and how many stand up to a position that is one of them, or lies between', () => {
    const positions = positionsOf(3, (index) => 10n * BigInt(index + 1));
    expect([0, 1, 2, 3].map((n) => positions.at(n))).toEqual(['0', '10', '20', '30']);
    expect(['0', '9', '10', '11', '20', '30', '18446744073709551615'].map((position) => positions.upTo(position))).toEqual([0, 0, 1, 1, 2, 3, 3]);
    expect(() => positions.at(4)).toThrow(RangeError);
  });

  it('are exact beyond 2^53, and over many of them', () => {
    const positions = positionsOf(200_000, (index) => 2n ** 60n + 3n * BigInt(index));
    for (const n of [1, 65_536, 65_537, 131_072, 200_000]) {
      const position = positions.at(n);
      expect(position).toBe(String(2n ** 60n + 3n * BigInt(n - 1)));
      expect([positions.upTo(position), positions.upTo(String(BigInt(position) - 1n)), positions.upTo(String(BigInt(position) + 2n))]).toEqual([n, n - 1, n]);
    }
  });

  it('only grow', () => {
    const positions = positionsOf(2, (index) => 10n + BigInt(index));
    for (const position of ['11', '10', '0']) expect(() => positions.push(position)).toThrow(`position ${position} is not behind 11`);
  });

  it('of an empty log are none', () => expect(new Positions().upTo('5')).toBe(0));
});
