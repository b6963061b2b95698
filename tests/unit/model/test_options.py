"""Every option is declared once; parser, checks and defaults follow."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

import pytest

from cropcam.cli import _parser
from cropcam.model.losses.objectives import OBJECTIVES
from cropcam.model.networks import NETWORKS
from cropcam.model.options import MODELS, SECTIONS, LabelOptions, OptimizerOptions, Settings, declared, default_of, flag, proportions, types
from cropcam.pipeline.errors import ConfigError


def train_parser() -> argparse.ArgumentParser:
    commands = next(action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction))
    return commands.choices["train"]


def test_the_parser_offers_every_declared_flag_and_at_most_30_options() -> None:
    flags = {word for action in train_parser()._actions for word in action.option_strings if word.startswith("--")}
    assert {flag(name) for name, option in declared().items() if option.flag} <= flags
    assert not {flag(name) for name, option in declared().items() if not option.flag} & flags
    assert len(flags) <= 30
    assert "--set" not in flags


def test_choices_are_those_of_the_registries() -> None:
    assert tuple(NETWORKS) == MODELS
    assert set(declared()["loss"].choices) == {"best", *OBJECTIVES}


def test_names_are_unique_over_the_sections() -> None:
    names = [name for kind in SECTIONS.values() for name in kind.__dataclass_fields__]
    assert len(names) == len(set(names)) == len(declared()) == len(types())


def test_passed_settings_are_kept_apart_from_defaults() -> None:
    settings = Settings(labels="shares", lr=default_of("lr"))
    assert settings.passed == {"labels": "shares", "lr": 0.001}
    assert settings.section(LabelOptions) == LabelOptions(labels="shares")
    assert settings.section(OptimizerOptions).epochs == 16


def test_an_unknown_setting_is_a_type_error() -> None:
    with pytest.raises(TypeError, match=r"unexpected keyword argument 'whiten'"):
        Settings(whiten=True)  # type: ignore[call-arg]


def test_class_weights_go_with_kinds_of_label() -> None:
    match = r"--class-weights goes with --labels presence or majority or points or pixels, not with shares"
    with pytest.raises(ConfigError, match=match):
        Settings(labels="shares", class_weights="balanced")
    with pytest.raises(ConfigError, match=r"--class-weights heavy is not possible; it must be one of none, balanced"):
        Settings(labels="shares", class_weights="heavy")


def test_help_needs_neither_torch_nor_numpy() -> None:
    code = "import sys; import cropcam.model.options; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", "guess", r"--labels guess .* one of presence"),
        ("presence_min_share", 1.0, r"--presence-min-share 1\.0 .* at least 0 and below 1"),
        ("presence_min_share", float("nan"), r"--presence-min-share nan"),
        ("epochs", 0, r"--epochs 0 .* at least 1"),
        ("batch_size", -3, r"--batch-size -3"),
        ("lr", 0.0, r"--lr 0\.0 .* a number above 0"),
        ("lr", float("inf"), r"--lr inf"),
        ("weight_decay", -1.0, r"--weight-decay -1\.0"),
        ("seed", -1, r"--seed -1"),
    ],
)
def test_out_of_range(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Settings(**{name: value})


def test_proportions_are_numbers_separated_by_commas() -> None:
    assert proportions("0.5,0.25,0.25") == (0.5, 0.25, 0.25)
    with pytest.raises(argparse.ArgumentTypeError, match=r"'0\.5;1': give one number per class, separated by commas"):
        proportions("0.5;1")
