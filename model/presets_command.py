"""The commands presets and completion: names to choose from. Imports of heavy modules stay inside the functions that need them."""

from __future__ import annotations

import argparse
from typing import Any

from cropcam.model.options import GROUP, KINDS, MODELS
from cropcam.pipeline.arguments import AddCommand, json_option
from cropcam.pipeline.runtime.console import command_line, show

TRAINING = ("poster", "paper")  # of train --preset


def presets(args: argparse.Namespace) -> None:  # noqa: ARG001 - as every command
    """Names to choose from: studies, sensors, legends, networks."""
    found = names()
    show(found, as_text(found), then=command_line("describe", found["studies"][0]["name"]))


def names() -> dict[str, Any]:
    """All names that a user chooses among, as JSON values."""
    from cropcam.pipeline.names import legends, sensors, studies

    return {
        "studies": studies(),
        "sensors": sensors(),
        "legends": legends(),
        "networks": list(networks()),
        "labels": list(KINDS),
        "training": list(TRAINING),
    }


def networks() -> tuple[str, ...]:
    """Names that `train --model` takes: built in, and of installed packages."""
    from importlib.metadata import entry_points

    return (*MODELS, *sorted(entry_points(group=GROUP).names - set(MODELS)))


def as_text(found: dict[str, Any]) -> str:
    """The same for reading."""
    width = max(len(each["name"]) for each in found["studies"])
    lines = ["studies (STUDY of describe, export, patches ...)"]
    for each in found["studies"]:
        west, south, east, north = each["bounds"]
        years, times = ", ".join(map(str, each["years"])), f", {each['seasons']} seasons" if each["seasons"] > 1 else ""
        lines.append(f"  {each['name']:<{width}}  {each['title']}")
        area = f"longitude {west:g} to {east:g}, latitude {south:g} to {north:g}"
        lines.append(f"  {'':<{width}}  {area}; {each['sensor']}; {years}{times}; {each['patches']:,} patches")
    width = max(len(each["name"]) for each in found["sensors"])
    lines += ["sensors ([image] sensor)", *(f"  {each['name']:<{width}}  {each['title']}" for each in found["sensors"])]
    lines += [f"legends ([labels] legend)\n  {', '.join(each['name'] for each in found['legends'])}"]
    lines += [f"networks (train --model)\n  {', '.join(found['networks'])}"]
    lines += [f"kinds of label (train --labels)\n  {', '.join(found['labels'])}"]
    lines += [f"settings of the poster and the paper (train --preset)\n  {', '.join(found['training'])}"]
    return "\n".join(lines)


def completion(args: argparse.Namespace) -> None:
    """The script that completes words in bash, zsh or fish."""
    from cropcam.pipeline.completion import script

    print(script(args.shell))


def add_commands(command: AddCommand) -> None:
    """Declare the commands and their options."""
    from cropcam.pipeline.completion import SHELLS

    json_option(command("presets", presets))
    sub = command("completion", completion)
    sub.add_argument("shell", choices=SHELLS, help="the last line of its script is the line to put into the start-up file")
