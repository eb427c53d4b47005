import { completionScript, shells } from '../completion.ts';
import { argument } from '../flags.ts';
import { oneOf } from '../forms.ts';
import { type Part, verb } from '../verb.ts';

const shell = oneOf(...shells);

/** To be added last: what it prints is about every verb of the program. */
export const completion: Part = (program, running) =>
  verb({
    name: 'completion',
    summary: 'Print a script with which the shell completes verbs and flags',
    details: 'Put the line of your shell into its startup file, so that it is never older than kf.',
    examples: ['eval "$(kf completion bash)"', 'eval "$(kf completion zsh)"', 'kf completion fish | source'],
    withoutProfile: true,
    flags: { shell: argument('shell', shell, shell.expected) },
    run: ({ io }, { shell: wanted }) => void io.stdout.write(completionScript(program, wanted)),
  })(program, running);
