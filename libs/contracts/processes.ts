import { Field, Fields, NestedList } from './field.ts';
import { instant, number, oneOf, position, string, whole } from './kinds.ts';

const words = string('text', {}, () => true);
const saga = { example: 'fan-out' };
const partition = whole(0, 63);

export class ProcessRoleDto {
  @Field(words, { example: 'dispatcher' })
  readonly role!: string;
  @Field(oneOf('HELD', 'WAITING', 'SUSPENDED'), { description: '`HELD`: its work, or its share of it, is this process\'s. `WAITING`: it is not, or not yet. `SUSPENDED`: it was, and stands still.' })
  readonly state!: 'HELD' | 'WAITING' | 'SUSPENDED';
  @Field(words, { nullable: true, description: 'What of its work is not under way here, and why, in words.', example: null })
  readonly why!: string | null;
}

export class ProcessSagaDto {
  @Field(words, saga)
  readonly name!: string;
  @Field(position, { description: 'It has reacted to the log up to here.' })
  readonly position!: string;
  @Field(number, { description: 'Milliseconds since it last stood at the head.' })
  readonly behindMs!: number;
}

/** What one process says of itself. */
export class ProcessDto {
  @Field(words, { description: 'New at each start.', example: '3f1c9c1e-8f5e-4d6b-9a55-0f6a3f0b7f0e' })
  readonly id!: string;
  @Field(words, { description: 'Its host, and its number there.', example: 'kf-1 (process 7)' })
  readonly process!: string;
  @Field(words)
  readonly version!: string;
  @Field(instant, { description: 'By its own clock.' })
  readonly startedAt!: string;
  @Field(number, { description: 'How many milliseconds ago it said so: a few thousand at most while all is well. One that was silent for 15 s is no longer listed.' })
  readonly ageMs!: number;
  @Field(oneOf('READY', 'NOT_READY'))
  readonly status!: string;
  @Fields(words, { description: 'What stands against its being ready, in words.', example: [] })
  readonly because!: readonly string[];
  @Field(position, { description: 'Up to here all of its read models have folded the log.' })
  readonly position!: string;
  @Field(number, { description: 'Milliseconds since the last of its read models stood at the head.' })
  readonly behindMs!: number;
  @NestedList(() => ProcessRoleDto)
  readonly roles!: readonly ProcessRoleDto[];
  @NestedList(() => ProcessSagaDto, { description: 'The sagas that it runs now.' })
  readonly sagas!: readonly ProcessSagaDto[];
  @Fields(partition, { description: 'Subscriptions are divided into 64 partitions: those to which it sends now, in order.', example: [0, 1, 2] })
  readonly partitions!: readonly number[];
}

export class CoordinationDto {
  @Field(oneOf('none', 'log', 'redis'), { description: '`none`: there is one process. `log`: by claims of roles in the log; processes do not hear of each other. `redis`: by leases in Redis.', example: 'redis' })
  readonly by!: 'none' | 'log' | 'redis';
  @Field(words, { nullable: true, description: 'Why other processes may be at work of which nothing is heard; null when there are none.', example: null })
  readonly unheard!: string | null;
}

/** Work that none of the processes does. While it moves from one to another it may stand here for some seconds. */
export class UnownedDto {
  @Fields(words, { example: [] })
  readonly sagas!: readonly string[];
  @Fields(partition, { example: [] })
  readonly partitions!: readonly number[];
}
