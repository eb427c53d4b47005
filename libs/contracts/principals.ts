import { Field, NestedList } from './field.ts';
import { actorType, principalId } from './kinds.ts';
import { limits } from './limits.ts';

/** Somebody or something that acts. */
export class PrincipalDto {
  @Field(actorType, { example: 'USER' })
  readonly type!: 'USER' | 'SYSTEM' | 'CONNECTOR' | 'AGENT' | 'SERVICE';

  @Field(principalId, { example: 'sam' })
  readonly id!: string;
}

/** Who acts, and for whom: `onBehalfOf` is the chain of those who asked, nearest first. */
export class ActorDto extends PrincipalDto {
  @NestedList(() => PrincipalDto, { optional: true, maxItems: limits.onBehalfOf, description: 'Those who asked for it, nearest first.' })
  readonly onBehalfOf?: readonly PrincipalDto[];
}
