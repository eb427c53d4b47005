// `npm run demo`: prints what it does; exits non-zero at the first thing that is not as it should be.
import { runDemo } from './demo.ts';

process.exitCode = await runDemo({ say: (line) => console.log(line) });
