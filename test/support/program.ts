import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A program of ours in a process of its own, which talks with us in messages. */
export interface Program {
  readonly pid: number;
  send(message: object): void;
  onMessage<Message>(listener: (message: Message) => void): void;
  /** The next message of a kind. Rejects when the program ends before. */
  message<Message, Wanted extends Message>(isWanted: (message: Message) => message is Wanted): Promise<Wanted>;
  end(): Promise<void>;
}

/** Starts a file of ours, named by its source: as it is when we run from source, else as it was built. */
export function startProgram(source: URL, args: readonly string[] = []): Program {
  const fromSource = import.meta.url.endsWith('.ts');
  const file = fileURLToPath(source);
  const execArgv = fromSource ? ['--conditions=source', '--disable-warning=ExperimentalWarning'] : [];
  const child = fork(fromSource ? file : file.replace(/\.ts$/, '.js'), [...args], { execArgv, env: { PATH: process.env['PATH'] }, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = once(child, 'exit');
  if (child.pid === undefined) throw new Error(`${file} could not be started`);
  return {
    pid: child.pid,
    send: (message) => void child.send(message),
    onMessage: (listener) => void child.on('message', listener as (message: unknown) => void),
    message: (isWanted) =>
      new Promise((resolve, reject) => {
        const onMessage = (message: unknown): void => {
          if (!isWanted(message as Parameters<typeof isWanted>[0])) return;
          child.off('message', onMessage);
          child.off('exit', onExit);
          resolve(message as never);
        };
        const onExit = (): void => reject(new Error(`${file} ended too early`));
        child.on('message', onMessage);
        child.on('exit', onExit);
      }),
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
