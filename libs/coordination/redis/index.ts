export { openRedis, type RedisCoordination } from './coordination.ts';
export { parseRedisUrl, type RedisPlace, type RedisTarget } from './url.ts';
