import { describe, expect, it } from '@jest/globals';
import { Environment } from '@marcbachmann/cel-js';
import fc from 'fast-check';
import { EventData } from './event-data.ts';
import { acceptedFilter, type FilterVerdict, parseFilter } from './filter.ts';

const order = {
  amount: 150,
  price: 1.5,
  paid: true,
  note: null,
  currency: 'EUR',
  city: 'Zürich 🏔',
  tags: ['new', 'large'],
  mixed: ['new', 1, { a: 1 }, [2]],
  items: [
    { sku: 'x-1', count: 2 },
    { sku: 'y-7', count: 0, tags: ['last'] },
  ],
  customer: { address: { country: 'CH' }, 'loyalty card': 'gold' },
};

/** A filter, to be asked of data. */
function filter(text: string): (data: unknown) => FilterVerdict {
  const read = parseFilter(text);
  if ('malformed' in read) throw new Error(`${text} ${read.malformed}`);
  return (data) => read.judge(new EventData(typeof data === 'string' ? data : JSON.stringify(data)));
}

const judged = (text: string, data: unknown = order): unknown => {
  const verdict = filter(text)(data);
  return 'wants' in verdict ? verdict.wants : verdict.failed;
};

describe('a filter', () => {
  it.each([
    ['data.amount > 100', true],
    ['data.amount >= 150 && data.amount <= 150.0 && data.price < 2', true],
    ['data.amount == 150 && data.amount != 151 && data.amount > -1', true],
    ['data.currency == "EUR" || data.currency == \'CHF\'', true],
    ['data.currency in ["USD", "CHF"]', false],
    ['"large" in data.tags && "address" in data.customer && !("street" in data.customer)', true],
    ['1 in data.mixed && "new" in data.mixed', true],
    ['[2] in data.mixed && !(1 in data.customer)', true],
    ['data.customer.address.country == "CH"', true],
    ['data.customer["loyalty card"] == "gold"', true],
    ['data["currency"] == "EUR"', true],
    ['data.items[0].sku.startsWith("x-") && data.items[1].sku.endsWith("7")', true],
    ['data.city.contains("rich") && size(data.city) == 8 && data.city.size() == 8', true],
    ['size(data.items) == 2 && data.customer.size() == 2', true],
    ['data.items.exists(item, item.sku == "x-1" && item.count > 1)', true],
    ['data.items.exists(item, has(item.tags) && item.tags.exists(tag, tag == "last" && item.count == 0))', true],
    ['data.items.all(item, item.count > 0)', false],
    ['data.customer.exists(name, name == "address")', true],
    ['data.paid', true],
    ['!data.paid', false],
    ['data.note == null', true],
    ['data.tags == ["new", "large"] && data.items[0] != data.items[1]', true],
    ['data.currency == 150', false],
    ['has(data.shipping) || has(data.note.text)', false],
    ['has(data.shipping) && data.shipping.weight > 3', false],
    ['data.shipping.weight > 3 || data.amount > 100', true],
    ['data.items.exists(item, item.tags[0] == "last")', true],
    ['data.items.all(item, item.tags[0] == "first")', false],
    ['data.currency < "F" && true > false', true],
  ])('%s is %s', (text, wants) => {
    expect(judged(text)).toBe(wants);
  });

  it.each([
    ['data.shipping == "express"', 'there is no field "shipping"'],
    ['data.shipping.weight > 3', 'there is no field "shipping"'],
    ['data.currency.code == "EUR"', 'string has no fields, so no "code"'],
    ['has(data.shipping.weight)', 'there is no field "shipping"'],
    ['data.currency > 3', 'string and number have no order'],
    ['data.note > 3', 'null and number have no order'],
    ['data.tags[2] == "x"', 'there is no element 2 in a list of 2'],
    ['data.tags["0"] == "new"', 'the index of a list is a whole number, not string'],
    ['data.tags[0.5] == "new"', 'the index of a list is a whole number, not 0.5'],
    ['data.amount', 'it is neither true nor false'],
    ['data.amount && data.paid', 'a condition is neither true nor false'],
    ['!data.amount', 'a condition is neither true nor false'],
    ['data.amount.startsWith("1")', 'startsWith takes two texts, not number and string'],
    ['"x" in data.currency', 'nothing is in a string'],
    ['data.amount.exists(one, one == 1)', 'number has no elements'],
    ['size(data.amount) == 1', 'number has no size'],
    ['data.items.all(item, item.tags[0] == "last")', 'there is no field "tags"'],
    ['data.constructor == 1', 'there is no field "constructor"'],
  ])('%s cannot be told: %s', (text, why) => {
    expect(judged(text)).toBe(why);
  });

  it.each([[5], ['text'], [null], [[1, 2]]])('speaks of data of any kind, such as %j', (data) => {
    expect(judged(`data == ${JSON.stringify(data)}`, JSON.stringify(data))).toBe(true);
  });

  it('knows no field but those of the data', () => {
    const data = '{"__proto__": {"admin": true}, "toString": 1}';
    expect(judged('data.admin == true', data)).toBe('there is no field "admin"');
    expect(judged('data.toString == 1 && !has(data.valueOf)', data)).toBe(true);
  });
});

describe('what is no filter', () => {
  it.each([
    ['data.amount > ', 'is wrong at character 15: Unexpected token: EOF'],
    ['data.amount = 3', 'is wrong at character 13: Unexpected character: ='],
    ['', 'is wrong at character 1: Unexpected token: EOF'],
    ['amount > 3', "is wrong at character 1: amount is unknown: a filter speaks of the event's data, as in data.amount"],
    ['data.a == 1 && total > 2', 'is wrong at character 16: total is unknown'],
    ['1', 'is wrong at character 1: it must be true or false, and it is of type int'],
    ['[data.a]', 'is wrong at character 1: it must be true or false, and it is of type list'],
    ['data.a && "x"', "is wrong at character 1: Logical operator requires bool operands, got 'string'"],
    ['"a" > 1', "no such overload: string > int"],
    ['data.name.matches("(a+)+$")', 'is wrong at character 1: matches() is not available: there are expressions that take for ever to match'],
    ['data.a + 1 == 2', 'is wrong at character 1: + is not among what filters can do: filters have fields'],
    ['data.items.map(item, item.a) == [1]', 'map() is not available'],
    ['data.items.filter(item, item.a) == [1]', 'filter() is not available'],
    ['data.a ? true : false', '?: is not among what filters can do'],
    ['data.a == {"b": 1}', 'map is not among what filters can do'],
    ['data.a == b"x"', 'JSON has no such value'],
    ['data.a == 9007199254740993', 'a whole number of JSON is exact up to 9007199254740991 only'],
    ['timestamp(data.at) > timestamp("2026-01-01T00:00:00Z")', 'timestamp() is not available'],
    ['cel.bind(x, data.a, x == x)', 'bind() is not available'],
    ['has(data)', 'has() takes a field, such as has(data.customer)'],
    ['data.items.exists(data.a, true)', 'is wrong at character 24: exists(var, predicate) invalid predicate iteration variable'],
    ['size()', 'size() is not available'],
    [`data.a == "${'x'.repeat(1_000)}"`, 'is longer than 1000 characters'],
    [`${'!'.repeat(300)}data.a`, 'is wrong at character'],
    [`${'('.repeat(300)}data.a${')'.repeat(300)}`, 'is wrong at character'],
    [Array.from({ length: 130 }, () => 'data').join('||'), 'is wrong at character'],
  ])('%s', (text, words) => {
    expect(parseFilter(text)).toEqual({ malformed: expect.stringContaining(words) });
  });
});

describe('a filter that was accepted', () => {
  it('judges, and cannot tell of any event when it cannot be read any more', () => {
    expect(acceptedFilter('data.amount > 100').judge(new EventData(JSON.stringify(order)))).toEqual({ wants: true });
    expect(acceptedFilter('data.amount >').judge(new EventData('{}'))).toEqual({ failed: 'it is wrong at character 14: Unexpected token: EOF' });
  });
});

describe('what a filter may cost', () => {
  const numbers = Array.from({ length: 20_000 }, (_, index) => index);
  const long = 'a'.repeat(120_000);
  const map = Object.fromEntries(numbers.map((number) => [`k${number}`, 1]));
  const nested = (levels: number, condition: string): string => (levels === 0 ? condition : `data.list.exists(v${levels}, ${nested(levels - 1, condition)})`);

  it.each([
    ['lists inside each other', nested(4, 'v1 == -1'), { list: numbers }],
    ['a search in every element', 'data.list.exists(x, data.text.contains(data.part))', { list: numbers, text: long, part: `${'a'.repeat(60_000)}b` }],
    ['a long text compared with every element', 'data.list.exists(x, data.text == data.other)', { list: numbers, text: `${long}a`, other: `${long}b` }],
    ['a long list compared with itself', Array.from({ length: 8 }, () => 'data.list == data.other').join(' && '), { list: numbers, other: numbers.slice() }],
    ['a list looked through for every element', 'data.list.all(x, x in data.list)', { list: numbers }],
    ['the keys of a map, again and again', 'data.list.exists(x, size(data.map) == 0)', { list: numbers, map }],
    ['maps compared for every element', 'data.list.exists(x, data.map == data.other)', { list: numbers, map, other: { ...map, one: 1 } }],
  ])('%s: ends after 100,000 steps, which are milliseconds', (_, text, data) => {
    const nasty = filter(text);
    const given = JSON.stringify(data);
    for (let turn = 0; turn < 20; turn += 1) expect(nasty(given)).toEqual({ failed: 'it takes more than 100000 steps on this event' });
  });

  it('is not got round by what may fail on one side of ||', () => {
    expect(judged(`${nested(3, 'v1 == -1')} || true`, { list: numbers })).toBe('it takes more than 100000 steps on this event');
  });

  it('leaves room for what people ask: one search through a thousand items', () => {
    const items = Array.from({ length: 1_000 }, (_, index) => ({ sku: `sku-${index}`, count: 1, tags: ['a', 'b'] }));
    expect(judged('data.items.exists(item, item.count >= 1 && "b" in item.tags && item.sku.startsWith("sku-999"))', { items })).toBe(true);
  });
});

describe('the language', () => {
  const language = new Environment({ homogeneousAggregateLiterals: false }).registerVariable('data', 'dyn');
  const path = fc.constantFrom('data.a', 'data.b', 'data.s', 'data.l', 'data.m', 'data.m.k', 'data.l[0]', 'data.none', 'x');
  const literal = fc.constantFrom('1', '2.5', '"t"', 'true', 'null', '-3');
  const { condition } = fc.letrec<{ condition: string; operand: string }>((tie) => ({
    operand: fc.oneof(path, literal),
    condition: fc.oneof(
      { maxDepth: 4 },
      fc.tuple(tie('operand'), fc.constantFrom('==', '!=', '<', '<=', '>', '>='), tie('operand')).map(([a, operator, b]) => `${a} ${operator} ${b}`),
      fc.tuple(tie('operand'), fc.constantFrom('[1, "t", 2.5]', 'data.l')).map(([one, all]) => `${one} in ${all}`),
      fc.tuple(tie('condition'), fc.constantFrom('&&', '||'), tie('condition')).map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      tie('condition').map((inner) => `!(${inner})`),
      fc.constantFrom('has(data.a)', 'has(data.m.k)', 'has(data.none.k)', 'data.s.startsWith("t")', 'data.s.contains("e")', 'size(data.l) > 1', '"k" in data.m', 'data.b'),
      fc.tuple(fc.constantFrom('data.l', 'data.m', 'data.none'), fc.constantFrom('exists', 'all'), tie('condition')).map(([list, name, inner]) => `${list}.${name}(x, ${inner})`),
    ),
  }));
  const scalar = fc.constantFrom<unknown>(1, 2.5, -3, 't', 'text', true, false, null);
  const data = fc.record({ a: scalar, b: scalar, s: scalar, l: fc.oneof(scalar, fc.array(scalar, { maxLength: 3 })), m: fc.oneof(scalar, fc.dictionary(fc.constantFrom('k', 't'), scalar)) }, { requiredKeys: ['a'] });

  it('is what the library says it is, for every filter that it takes', () => {
    let compared = 0;
    fc.assert(
      fc.property(condition, data, (text, event) => {
        const read = parseFilter(text);
        if ('malformed' in read) return;
        compared += 1;
        const verdict = read.judge(new EventData(JSON.stringify(event)));
        expect('wants' in verdict ? verdict.wants : 'failed').toBe(byTheLibrary(text, event));
      }),
      { numRuns: 3_000 },
    );
    expect(compared).toBeGreaterThan(500);
  });

  function byTheLibrary(text: string, event: unknown): boolean | 'failed' {
    try {
      const value: unknown = language.evaluate(text, { data: event });
      return typeof value === 'boolean' ? value : 'failed';
    } catch {
      return 'failed';
    }
  }
});
