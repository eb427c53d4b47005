export { openRedis, type RedisCoordination } from './coordination.ts';
