"""The parsers of commands, as a plane declares them."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from cropcam.pipeline.arguments import AddCommand, Command


def parsers(add_commands: Callable[[AddCommand], None]) -> dict[str, argparse.ArgumentParser]:
    """The parser of each command by its name; its default `call` is the command's function."""
    declared: dict[str, argparse.ArgumentParser] = {}

    def command(name: str, call: Command) -> argparse.ArgumentParser:
        declared[name] = argparse.ArgumentParser(prog=name)
        declared[name].set_defaults(call=call)
        return declared[name]

    add_commands(command)
    return declared
