export { type CliEnvironment, readCliEnvironment } from '../cli.ts';
