export { parseRedisUrl, type RedisPlace, type RedisTarget } from './url.ts';
