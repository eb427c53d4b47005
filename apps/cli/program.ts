import { Command } from 'commander';
import { optionOf } from './flags.ts';
import { globalFlags } from './session.ts';
import { exitCodes, type Part, type Running } from './verb.ts';
import { approval } from './verbs/approval.ts';
import { audit } from './verbs/audit.ts';
import { backup } from './verbs/backup.ts';
import { completion } from './verbs/completion.ts';
import { siteDeliveries } from './verbs/deliveries.ts';
import { event } from './verbs/event.ts';
import { key } from './verbs/key.ts';
import { listen } from './verbs/listen.ts';
import { log } from './verbs/log-copy.ts';
import { profile } from './verbs/profile.ts';
import { projection, status, whoami } from './verbs/server.ts';
import { trigger } from './verbs/trigger.ts';
import { verify } from './verbs/verify.ts';
import { webhook } from './verbs/webhook.ts';

/** Everything `kf` can do. */
const parts: readonly Part[] = [webhook, siteDeliveries, listen, trigger, verify, event, approval, audit, key, whoami, status, projection, backup, log, profile, completion];

/** The program of one run. */
export function programFor(running: Running): Command {
  const { io } = running;
  const program = new Command('kf')
    .description('Countersign: webhooks whose changes are commanded, approved, recorded and provable.')
    .version(io.version, '-V, --version', 'print the version')
    .exitOverride()
    .showSuggestionAfterError()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: (text) => void io.stderr.write(text), getOutHasColors: () => false, getErrHasColors: () => false })
    .addHelpText('after', `\n${exitCodes}\n`);
  for (const flag of Object.values(globalFlags)) program.addOption(optionOf(flag));
  for (const part of parts) part(program, running);
  return program;
}
