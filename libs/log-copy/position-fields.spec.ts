import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { comparePositions, isPosition, type RecordedEvent } from '#kernel';
import { positionFields, positionIn, withPosition } from './position-fields.ts';

const golden = fileURLToPath(new URL('../../test/golden', import.meta.url));
const everything = readdirSync(golden).filter((name) => name.endsWith('.jsonl')).flatMap((name) => readFileSync(join(golden, name), 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as RecordedEvent));

interface Leaf {
  readonly type: string;
  readonly way: string;
  readonly text: string;
  readonly at: string;
}

/** Every text in an event's data, with its way; the names of a map's members are left out. */
function* leavesOf(value: unknown, way: string): Generator<readonly [string, string]> {
  if (typeof value === 'string') yield [way, value];
  if (typeof value !== 'object' || value === null) return;
  for (const [member, one] of Object.entries(value)) yield* leavesOf(one, Array.isArray(value) || /[-.]/.test(member) ? `${way}.*` : `${way}.${member}`);
}

const ours = everything.filter(({ type }) => type !== 'EventPublished');
const leaves: readonly Leaf[] = ours.flatMap(({ type, data, metadata, position }) =>
  [...leavesOf(JSON.parse(data), ''), ...leavesOf(metadata, '#')].map(([way, text]) => ({ type, way: way.replace(/^\./, ''), text, at: position })));
const table = Object.entries(positionFields).map(([type, way]) => `${type} ${way.join('.')}`).sort();

/** Decimal digits that are no position of the log; what users write in labels is theirs. */
const otherDigits = [/^#\.schemaversion$/, /^labels\./, /^transcripts\.\*\.(request|response)\.headers\.(\*|[a-z]+)$/];

describe('the table of positions', () => {
  it('has every member that looks like a position in an example of every event type', () => {
    const looksLike = ({ way, text }: Leaf): boolean => /position/i.test(way) || (isPosition(text) && !otherDigits.some((form) => form.test(way)));
    expect([...new Set(leaves.filter(looksLike).map(({ type, way }) => `${type} ${way}`))].sort()).toEqual(table);
  });

  it('has every position that the types of events speak of', () => {
    const libs = fileURLToPath(new URL('..', import.meta.url));
    const sources = [...globSync('*/events.ts', { cwd: libs }).filter((name) => !name.startsWith('kernel')), 'kernel/receipt.ts', 'sagas/checkpoint.ts', 'sagas/entries.ts', 'deliveries/transcript.ts', 'approvals/refusal.ts', 'secret-vault/records.ts'];
    const named = sources.flatMap((name) => [...readFileSync(join(libs, name), 'utf8').matchAll(/readonly (\w*[pP]osition\w*)\??:/g)].map(([, member]) => `${name.replaceAll('\\', '/')} ${member}`)).sort();
    // Not written into the log are those of `publishing` and `refusal`, what is read of an event and a row of a table, and what loading a checkpoint answers.
    expect(named).toEqual(['approvals/events.ts position', 'approvals/refusal.ts position', 'deliveries/events.ts eventPosition', 'publishing/events.ts position', 'recoveries/events.ts position', 'sagas/checkpoint.ts position', 'sagas/checkpoint.ts position']);
  });

  it('names positions that lie before the event, in every example', () => {
    const positions = ours.flatMap((event) => [positionIn(event) ?? []].flat().map((position) => [position, event.position] as const));
    expect(positions.length).toBeGreaterThan(100);
    expect(positions.filter(([position, own]) => comparePositions(position, own) >= 0)).toEqual([]);
  });

  it('changes nothing but the position, in every example: what is mapped to itself stays as it is, byte for byte', () => {
    for (const event of everything) {
      expect(withPosition(event, (position) => position)).toBe(event.data);
      const [position, moved] = [positionIn(event), withPosition(event, () => '9007199254740993')];
      expect(moved).toBe(position === undefined ? event.data : event.data.replace(`osition":"${position}"`, 'osition":"9007199254740993"'));
    }
  });
});

const checkpoint = (data: string): RecordedEvent => ({ id: 'e', stream: 'sagacheckpoint-fan-out', revision: 0, position: '10', type: 'SagaCheckpointed', data, metadata: {} });

describe('an event with a position', () => {
  it('is refused when it names what is not before it: nothing says where that will be', () => {
    for (const position of ['10', '11']) expect(() => positionIn(checkpoint(JSON.stringify({ position })))).toThrow(`names the position ${position}, which is not before its own`);
    expect(positionIn(checkpoint('{"position":"9"}'))).toBe('9');
  });

  it('is refused when the position is not where it belongs', () => {
    for (const data of ['{}', '{"position":9}', '{"position":"x"}', '[]', '7']) expect(() => positionIn(checkpoint(data))).toThrow('has no position as position');
    expect(() => positionIn({ ...checkpoint('{"cursor":null}'), type: 'WebhookRecoveryProgressed' })).toThrow('has no position as cursor.position');
  });

  it('is refused when writing it again would change more than the position', () => {
    expect(() => positionIn(checkpoint('{ "position":"9"}'))).toThrow('was not written by this program');
  });
});
