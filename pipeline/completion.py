"""Completion in shells (`cropcam completion SHELL`): the script for a shell's start-up file, and the answers to its TAB.

The words come from the parsers themselves, by argcomplete; the script calls the program at each TAB, so it never goes stale.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from cropcam.pipeline import presets
from cropcam.pipeline.arguments import parsers_of

SHELLS = ("bash", "zsh", "fish")
WHERE = {
    "bash": 'put this line into ~/.bashrc: eval "$(cropcam completion bash)"',
    "zsh": 'put this line into ~/.zshrc, below compinit: eval "$(cropcam completion zsh)"',
    "fish": "run: cropcam completion fish > ~/.config/fish/completions/cropcam.fish",
}


def script(shell: str) -> str:
    """The text that a shell reads once to complete the words of `cropcam`."""
    from argcomplete.shell_integration import shellcode  # noqa: PLC0415 - of this command and of TAB alone

    return f"{shellcode(['cropcam'], shell=shell).strip()}\n# {WHERE[shell]}"  # zsh reads its first line


def answer(parser: argparse.ArgumentParser, networks: Sequence[str]) -> None:
    """Answer a shell's TAB and end the process.

    Args:
        parser: of the program.
        networks: names that --model takes.
    """
    import argcomplete  # noqa: PLC0415

    for sub in parsers_of(parser).values():
        for action in sub._actions:
            if "STUDY" in str(action.metavar or ""):
                complete_with(action, _study)
            elif "--model" in action.option_strings:
                complete_with(action, lambda **_: networks)
    argcomplete.autocomplete(parser)


def complete_with(action: argparse.Action, words: Callable[..., Any]) -> None:
    """The words that complete an option's value; `words` is called with `prefix=` and more."""
    action.completer = words  # type: ignore[attr-defined]


def _study(prefix: str, **_: object) -> list[str]:
    """Presets, TOML files and folders."""
    from argcomplete.completers import FilesCompleter  # noqa: PLC0415

    return [*presets.names(), *FilesCompleter(("toml",))(prefix)]
