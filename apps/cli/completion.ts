import type { Command } from 'commander';
import { shellWord } from './text.ts';

/** One place in the tree of verbs: what may be typed there. */
interface Place {
  /** The words typed so far, from the program's name on. */
  readonly path: string;
  readonly verbs: readonly Word[];
  readonly flags: readonly FlagWord[];
}

interface Word {
  readonly text: string;
  readonly about: string;
}

interface FlagWord extends Word {
  /** Its value is the word after it. */
  readonly takesValue: boolean;
}

interface Tree {
  readonly program: string;
  readonly places: readonly Place[];
  /** All flags that take a value. */
  readonly valued: readonly string[];
}

export type Shell = 'bash' | 'zsh' | 'fish';
export const shells = ['bash', 'zsh', 'fish'] as const satisfies readonly Shell[];

/** A script with which a shell completes the verbs and flags of a program, made of what the program itself parses with. */
export function completionScript(program: Command, shell: Shell): string {
  const places = placesOf(program, program.name());
  const valued = new Set(places.flatMap(({ flags }) => flags.flatMap(({ text, takesValue }) => (takesValue ? [text] : []))));
  return scripts[shell]({ program: program.name(), places, valued: [...valued] });
}

function placesOf(command: Command, path: string): readonly Place[] {
  const help = command.createHelp();
  help.showGlobalOptions = true;
  const options = [...help.visibleOptions(command), ...help.visibleGlobalOptions(command)];
  const flags = options.flatMap(({ long, description, required }) => (typeof long === 'string' ? [{ text: long, about: description, takesValue: required }] : []));
  const verbs = command.commands.map((verb) => ({ text: verb.name(), about: verb.summary() }));
  return [{ path, verbs, flags }, ...command.commands.flatMap((verb) => placesOf(verb, `${path} ${verb.name()}`))];
}

const texts = (words: readonly Word[]): string => words.map(({ text }) => text).join(' ');
const groups = ({ places, program }: Tree): readonly string[] => places.flatMap(({ path }) => (path === program ? [] : [`'${path}'`]));
const indented = (spaces: number, lines: readonly string[]): string => lines.map((line) => `${' '.repeat(spaces)}${line}`).join('\n');

/** A value typed after a flag is no verb, whatever it says. */
const bash = (tree: Tree): string => `# bash completion of ${tree.program}: eval "$(${tree.program} completion bash)"
_${tree.program}() {
  local place=${tree.program} before='' word verbs='' flags='' valued=' ${tree.valued.join(' ')} '
  local current="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ "$valued" != *" $before "* ]]; then
      case "$place $word" in
        ${groups(tree).join('|')}) place="$place $word" ;;
      esac
    fi
    before="$word"
  done
  if [[ "$valued" == *" $before "* || "$before" == '=' || "$current" == '=' ]]; then
    [[ "$before" != *-file ]] || compopt -o default 2>/dev/null
    return
  fi
  case "$place" in
${indented(4, tree.places.map(({ path, verbs, flags }) => `'${path}') verbs='${texts(verbs)}' flags='${texts(flags)}' ;;`))}
  esac
  if [[ "$current" == -* || -z "$verbs" ]]; then
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
  else
    COMPREPLY=($(compgen -W "$verbs" -- "$current"))
  fi
}
complete -F _${tree.program} ${tree.program}
`;

const described = ({ text, about }: Word): string => shellWord(`${text}:${about.replaceAll(':', '\\:')}`);

const zsh = (tree: Tree): string => `# zsh completion of ${tree.program}: eval "$(${tree.program} completion zsh)"
_${tree.program}() {
  local place=${tree.program} before='' word valued=' ${tree.valued.join(' ')} '
  local -a verbs flags
  for word in "\${(@)words[2,CURRENT-1]}"; do
    if [[ "$valued" != *" $before "* ]]; then
      case "$place $word" in
        (${groups(tree).join('|')}) place="$place $word" ;;
      esac
    fi
    before="$word"
  done
  if [[ "$valued" == *" $before "* ]]; then
    [[ "$before" != *-file ]] || _files
    return
  fi
  case "$place" in
${indented(4, tree.places.map(({ path, verbs, flags }) => `('${path}') verbs=(${verbs.map(described).join(' ')}) flags=(${flags.map(described).join(' ')}) ;;`))}
  esac
  if [[ "$PREFIX" == -* ]] || (( ! $#verbs )); then
    _describe -o 'flag' flags
  else
    _describe 'verb' verbs
  fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
compdef _${tree.program} ${tree.program}
`;

const fishWord = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

const fish = (tree: Tree): string => `# fish completion of ${tree.program}: ${tree.program} completion fish | source
function __${tree.program}_at
  set -l place ${tree.program}
  set -l before ''
  for word in (commandline -opc)[2..-1]
    if not contains -- $before ${tree.valued.join(' ')}
      if contains -- "$place $word" ${groups(tree).join(' ')}
        set place "$place $word"
      end
    end
    set before $word
  end
  test "$place" = "$argv[1]"
end
complete -c ${tree.program} -f
${tree.places.flatMap((place) => fishLines(tree, place)).join('\n')}
`;

const fishLines = ({ program }: Tree, { path, verbs, flags }: Place): readonly string[] => [
  ...verbs.map(({ text, about }) => `complete -c ${program} -n "__${program}_at '${path}'" -a ${text} -d ${fishWord(about)}`),
  ...flags.map(({ text, about, takesValue }) => `complete -c ${program} -n "__${program}_at '${path}'" -l ${text.slice(2)}${takesValue ? (text.endsWith('-file') ? ' -r -F' : ' -x') : ''} -d ${fishWord(about)}`),
];

const scripts: Readonly<Record<Shell, (tree: Tree) => string>> = { bash, zsh, fish };
