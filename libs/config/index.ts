export { readCopyTarget } from './log-copy.ts';
export { ConfigError, environmentSecret, type LogLevel, logLevels, readServerConfig, type ServerConfig, type ServerRole, serverRoles } from './server.ts';
