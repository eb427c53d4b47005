import * as contracts from '#contracts';
import { ActorDto, commandPayloads, type Dto, fieldsOf, type JsonSchema, PrincipalDto, schemaName, schemaOf } from '#contracts';

type Schemas = Readonly<Record<string, JsonSchema>>;

const isDto = (value: unknown): value is Dto => typeof value === 'function' && fieldsOf(value as Dto).size > 0;

/** In what callers send, other members are refused; to what is answered, members may be added in later versions. */
const isSent = (dto: Dto): boolean => !dto.name.endsWith('Dto') || dto === PrincipalDto || dto === ActorDto;

/** A class and those that its fields hold. */
function* withNested(dto: Dto): Generator<Dto> {
  yield dto;
  for (const field of fieldsOf(dto).values()) if (field.dto !== undefined) yield* withNested(field.dto());
}

/** The schemas of all classes of the contract, by name. */
export function schemas(): Schemas {
  const exported = Object.values<unknown>({ ...contracts, ...commandPayloads }).filter(isDto);
  const dtos = new Set(exported.flatMap((dto) => [...withNested(dto)]));
  return Object.fromEntries([...dtos].map((dto): [string, JsonSchema] => [schemaName(dto), schemaOf(dto, { closed: isSent(dto) })]).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Those of them that a part of the document refers to, itself or through others. Throws when there is none of a name. */
export function schemasOf(part: unknown): Schemas {
  const all = schemas();
  const used = new Set<string>();
  const visit = (text: string): void => {
    for (const [, name = ''] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g)) {
      if (used.has(name)) continue;
      if (all[name] === undefined) throw new TypeError(`the contract exports no class for the schema ${name}`);
      used.add(name);
      visit(JSON.stringify(all[name]));
    }
  };
  visit(JSON.stringify(part));
  return Object.fromEntries(Object.entries(all).filter(([name]) => used.has(name)));
}
