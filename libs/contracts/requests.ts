import { Field, Nested } from './field.ts';
import { jsonObject, name, whole } from './kinds.ts';
import { ActorDto } from './principals.ts';

/** The body of `POST /api/commands/{commandType}`, around the payload of its type. */
export class CommandBody {
  @Field(name, { example: 'acme' })
  readonly tenant!: string;

  @Field(name, { optional: true, example: 'production', description: '`production` when left out.' })
  readonly environment?: string;

  @Nested(() => ActorDto)
  readonly actor!: ActorDto;

  @Field(name, { optional: true, description: 'The approval to use; found by itself when left out.' })
  readonly approvalId?: string;

  @Field(whole(0), { optional: true, description: 'Refuse with 412 when the resource is at another revision.' })
  readonly expectedRevision?: number;

  @Field(jsonObject)
  readonly payload!: object;
}
