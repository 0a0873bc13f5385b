# SPDX-License-Identifier: MIT
"""Completion scripts for bash, zsh and fish."""

from __future__ import annotations

from collections.abc import Sequence

from fixedpoint_nn.cli.described_commands import Argument, Completed

PROGRAM = "fixedpoint-nn"


def bash(commands: Sequence[Completed]) -> str:
    """The script for `eval "$(fixedpoint-nn completion bash)"`."""
    cases, values = [], []
    for command in commands:
        options = " ".join(name for option in command.options for name in option.names)
        first = command.positional
        cases.append(f'        {command.name}) options="{options}"; {_bash_values(first)} ;;')
        for option in command.options:
            if option.takes_value:
                names = "|".join(f"{command.name}:{name}" for name in option.names)
                values.append(f"        {names}) {_bash_values(option)}; return ;;")
    names = " ".join(command.name for command in commands)
    return f"""# bash completion for {PROGRAM}
_fixedpoint_nn() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" options="" found=""
    local i
    COMPREPLY=()
    for (( i = 1; i < COMP_CWORD; i++ )); do
        [[ ${{COMP_WORDS[i]}} != -* ]] && {{ command="${{COMP_WORDS[i]}}"; break; }}
    done
    if [[ -z $command ]]; then
        COMPREPLY=( $(compgen -W "{names} --help --version" -- "$word") )
        return
    fi
    case "$command:$before" in
{chr(10).join(values)}
    esac
    case "$command" in
{chr(10).join(cases)}
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=( $(compgen -W "$options" -- "$word") )
    fi
}}
complete -o filenames -F _fixedpoint_nn {PROGRAM}
"""


def _bash_values(argument: Argument | None) -> str:
    if argument is None:
        return ":"
    words = _words(argument)
    parts = [f'$(compgen -W "{" ".join(words)}" -- "$word")'] if words else []
    if argument.kind in ("file", "network"):
        parts.append('$(compgen -f -- "$word")')
    if argument.kind == "folder":
        parts.append('$(compgen -d -- "$word")')
    return f"COMPREPLY=( {' '.join(parts)} )" if parts else ":"


def zsh(commands: Sequence[Completed]) -> str:
    """The script for a file `_fixedpoint-nn` in a folder of `$fpath`, or for `eval`."""
    listed = "\n".join(f"        {_quoted(f'{command.name}:{command.help}')}" for command in commands)
    cases = "\n".join(_zsh_case(command) for command in commands)
    return f"""#compdef {PROGRAM}
_fixedpoint_nn() {{
    local -a commands
    commands=(
{listed}
    )
    if (( CURRENT == 2 )); then
        _describe 'command' commands
        return
    fi
    local command="$words[2]"
    shift words
    (( CURRENT-- ))
    case "$command" in
{cases}
    esac
}}
if [[ $funcstack[1] == _fixedpoint-nn ]]; then
    _fixedpoint_nn "$@"
else
    compdef _fixedpoint_nn {PROGRAM}
fi
"""


def _zsh_case(command: Completed) -> str:
    specs = []
    for option in command.options:
        for name in option.names:
            spec = f"{name}[{_plain(option.help)}]"
            specs.append(spec + (f":value:{_zsh_values(option)}" if option.takes_value else ""))
    if command.positional is not None:
        specs.append(f"1:argument:{_zsh_values(command.positional)}")
    lines = " \\\n".join(f"                {_quoted(spec)}" for spec in specs)
    return f"        {command.name})\n            _arguments \\\n{lines} ;;"


def _zsh_values(argument: Argument) -> str:
    words = _words(argument)
    if argument.kind == "network":
        return f"{{_alternative 'networks:network:({' '.join(words)})' 'files:file:_files'}}"
    if words:
        return f"({' '.join(words)})"
    return {"file": "_files", "folder": "_files -/"}.get(argument.kind, " ")


def fish(commands: Sequence[Completed]) -> str:
    """The script for `fixedpoint-nn completion fish | source`."""
    lines = [f"complete -c {PROGRAM} -f"]
    for command in commands:
        lines.append(
            f"complete -c {PROGRAM} -n __fish_use_subcommand -a {command.name} -d {_fish(command.help)}"
        )
        under = f"complete -c {PROGRAM} -n '__fish_seen_subcommand_from {command.name}'"
        for option in command.options:
            lines.append(f"{under} {_fish_names(option)}{_fish_values(option)} -d {_fish(option.help)}")
        if command.positional is not None:
            lines.append(under + _fish_values(command.positional, positional=True))
    return "# fish completion for " + PROGRAM + "\n" + "\n".join(lines) + "\n"


def _fish_names(option: Argument) -> str:
    return " ".join(f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in option.names)


def _fish_values(argument: Argument, positional: bool = False) -> str:
    """The options of fish's `complete`: -x requires a value that is not a file, -r any value, -F offers files."""
    if not argument.takes_value:
        return ""
    words = _words(argument)
    listed = f" -a {_fish(' '.join(words))}" if words else ""
    if argument.kind == "folder":
        listed = " -a '(__fish_complete_directories)'"
    if argument.kind in ("file", "network"):
        return f"{'' if positional else ' -r'} -F{listed}"
    return f"{'' if positional else ' -x'}{listed}"


def _fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _words(argument: Argument) -> Sequence[str]:
    if argument.kind == "network":
        from fixedpoint_nn import zoo

        return zoo.names()
    return argument.choices


def _plain(text: str) -> str:
    """Text without brackets and colons, which are syntax of zsh's specifications."""
    return text.replace("[", "(").replace("]", ")").replace(":", " ")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
