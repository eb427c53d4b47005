import { setSourceMapsSupport } from 'node:module';

// Before anything is loaded, and of our own files only: with `--enable-source-maps` Node keeps the maps of all packages, a tenth of the heap of a server that has started.
setSourceMapsSupport(true);
await import('./start.ts');
