"""The settings of a training run, each declared once: name, type, default, help, choices, valid range, kinds of label, command-line flag.

Parser, checks, config.json and the tables of docs/training follow from these declarations. `--help` imports this module: no torch, no numpy.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, TypeVar, get_type_hints

from cropcam.pipeline.errors import ConfigError

KINDS = ("presence", "majority", "shares", "points", "pixels")
ANY_BELOW = 0.01  # a presence threshold below this has the information of a label of any pixel
LOSSES = ("best", "bce", "lse", "threshold", "majority", "shares", "cross-entropy")
MODELS = ("baseline", "resnet50", "unet", "fcn", "fcn-time", "linear", "trees")  # the built-in networks
GROUP = "cropcam.networks"  # entry points of installed packages with further ones
_NO_PROPORTIONS = ("presence", "majority", "points", "pixels")
_OF_FIELDS = ("shares", "points", "pixels")
MEASURED = "by network and kind of label"
Section = TypeVar("Section")


@dataclass(frozen=True)
class Option:
    """The declaration of one setting."""

    help: str  # one line, without the default
    choices: tuple[str, ...] = ()  # allowed values; empty = see `rule`
    valid: Callable[[Any], bool] | None = None  # whether a value is in range
    rule: str = ""  # the valid range in words
    kinds: tuple[str, ...] = ()  # kinds of label that the setting goes with; empty = all
    metavar: str | None = None  # placeholder in --help
    flag: bool = True  # whether the command line offers it; else it is a setting of the Python interface alone
    default: str = ""  # the default in words, where it depends on other settings


def _option(value: Any, text: str, /, **more: Any) -> Any:  # noqa: ANN401 - a dataclass field stands for its value
    return field(default=value, metadata={"option": Option(text, **more)})


def _at_least(low: float, below: float = math.inf, *, above: bool = False) -> dict[str, Any]:
    rule = f"a number {'above' if above else 'of at least'} {low:g}" + (f" and below {below:g}" if below < math.inf else "")
    return {"valid": lambda value: (value > low if above else value >= low) and value < below, "rule": rule}


def _whole(low: int) -> dict[str, Any]:
    return {"valid": lambda value: value >= low, "rule": f"at least {low}"}


def _proportions(values: tuple[float, ...]) -> bool:
    return not values or (min(values) >= 0 and abs(sum(values) - 1) < 0.01)


@dataclass(frozen=True, kw_only=True)
class LabelOptions:
    """How weak labels are derived from the store, or read from the user's file."""

    labels: str = _option("presence", "kind of label", choices=KINDS)
    presence_min_share: float = _option(
        0.0, "a class is present above this share of a patch", default="the study's", metavar="SHARE", **_at_least(0, 1)
    )
    points: str = _option(
        "",
        "labelled points of a file: CSV (lon, lat, class), GeoPackage, GeoParquet, GeoJSON",
        kinds=("points",),
        metavar="FILE",
    )
    points_per_patch: int = _option(1, "labelled pixels per patch", kinds=("points",), metavar="N", **_whole(1))
    fields: str = _option(
        "",
        "field boundaries with a crop instead of the store's labels: GeoPackage, GeoParquet, GeoJSON",
        kinds=_OF_FIELDS,
        metavar="FILE",
    )
    fields_buffer: float = _option(
        0.0, "what lies so near the edge of a field is not labelled, in metres", kinds=_OF_FIELDS, metavar="M", **_at_least(0)
    )
    areas: str = _option(
        "",
        "polygons with class areas instead of the store's shares: GeoPackage, GeoParquet, GeoJSON",
        kinds=("shares",),
        metavar="FILE",
    )
    label_table: str = _option(
        "",
        "CSV joined to --fields by the crop (crop, class), or to --areas by a key (key, areas of classes)",
        kinds=_OF_FIELDS,
        metavar="FILE",
    )
    label_column: str = _option(
        "",
        "column of the file: class of points, crop of fields, key of areas",
        kinds=_OF_FIELDS,
        metavar="NAME",
        default="found by its name",
    )
    bag_size: int = _option(1, "neighbouring patches that share one row of proportions", kinds=("shares",), metavar="N", **_whole(1))
    class_prior: tuple[float, ...] = _option(
        (), "known class shares of all pixels, in the store's order", metavar="S,S,...", valid=_proportions, rule="shares that add up to 1"
    )
    share_step: float = _option(
        0.0, "shares are rounded to multiples of this", kinds=("shares",), flag=False, valid=lambda v: 0 <= v <= 0.5, rule="from 0 to 0.5"
    )
    share_noise: float = _option(0.0, "standard deviation of noise added to shares", kinds=("shares",), flag=False, **_at_least(0, 1))
    label_noise: float = _option(0.0, "probability of a wrong label", kinds=_NO_PROPORTIONS, flag=False, **_at_least(0, 1))

    @property
    def kind(self) -> str:
        """The kind of label."""
        return self.labels

    @property
    def file(self) -> str:
        """The file that the labels come from; empty = the store."""
        return self.points or self.fields or self.areas

    @property
    def bagged(self) -> bool:
        """Whether patches share proportions, so that a batch needs whole bags."""
        return self.bag_size > 1 or bool(self.areas)


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """How patches are loaded."""

    batch_size: int = _option(32, "patches per step", metavar="N", **_whole(1))
    seed: int = _option(0, "of all random numbers", metavar="N", valid=lambda v: 0 <= v < 2**63, rule="at least 0 and below 2^63")
    hold_out_store: str = _option(
        "", "of several stores those that are not trained on: their patches are the test split", metavar="NAME,..."
    )
    rot90: bool = _option(False, "also swap rows and columns of patches, not only flip them", flag=False)
    data_loading: str = _option(
        "auto",
        "patches in memory, or streamed from the store",
        choices=("auto", "memory", "stream"),
        flag=False,
        default="memory where they fit half of it",
    )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The network and how it computes."""

    model: str = _option("fcn", f"{', '.join(MODELS)}, or package.module:Class", metavar="NAME")
    model_options: str = _option("", "options that the network declares", metavar="NAME=VALUE,...")
    init: str = _option("", "initial weights: a .safetensors file, or a run folder, whose best weights are taken", metavar="FILE|RUN")
    freeze: str = _option(
        "",
        "not trained: beginnings of parameter names, statistics, none",
        metavar="PREFIX,...",
        default="statistics with --init RUN",
    )
    precision: str = _option(
        "auto", "number format of activations", choices=("auto", "fp32", "bf16"), flag=False, default="bf16 where the device has it"
    )
    channels_last: bool = _option(False, "memory order of the maps", flag=False, default=MEASURED)
    compile: bool = _option(False, "torch.compile", flag=False)
    deterministic: bool | None = _option(None, "the same bits in each run", flag=False, default="on a CPU")


@dataclass(frozen=True, kw_only=True)
class OptimizerOptions:
    """Loss, optimizer and schedule."""

    epochs: int = _option(16, "epochs, each validated: passes over the training split", metavar="N", **_whole(1))
    passes: int = _option(
        0,
        "passes over the training split in one epoch; 0 = so many that there are about 1,000 steps in all, but no more than 80 passes or 300 steps",
        flag=False,
        default="1 where --epochs is passed, else 0",
        **_whole(0),
    )
    lr: float = _option(1e-3, "peak learning rate", default=MEASURED, metavar="X", **_at_least(0, above=True))
    weight_decay: float = _option(1e-4, "weight decay", default=MEASURED, flag=False, **_at_least(0))
    loss: str = _option("best", "loss", choices=LOSSES, default=MEASURED)
    class_weights: str = _option(
        "none", "balanced: inverse class frequency", choices=("none", "balanced"), kinds=_NO_PROPORTIONS, default=MEASURED
    )
    label_smoothing: float = _option(0.0, "share of each label that is spread evenly", flag=False, **_at_least(0, 1))
    optimizer: str = _option("adamw", "optimizer", choices=("adamw", "adam", "sgd"), flag=False)
    schedule: str = _option("constant", "learning rate schedule", choices=("constant", "cosine", "step"), flag=False, default=MEASURED)
    warmup_epochs: float = _option(0.0, "epochs of linear warm-up", flag=False, default=MEASURED, **_at_least(0))
    grad_clip_norm: float = _option(0.0, "largest gradient norm; 0 = no clipping", flag=False, **_at_least(0))
    patience: int = _option(0, "stop after so many epochs without a lower validation loss; 0 = never", flag=False, **_whole(0))


@dataclass(frozen=True, kw_only=True)
class StrategyOptions:
    """Training methods added to plain supervised training (`cropcam.model.strategies`)."""

    pseudo_label_weight: float = _option(
        0.0, "weight of a mean teacher's pseudo-labels; 0 = none", default=MEASURED, metavar="W", **_at_least(0)
    )


SECTIONS: dict[str, type] = {
    "labels": LabelOptions,
    "data": DataOptions,
    "network": NetworkOptions,
    "optimizer": OptimizerOptions,
    "strategy": StrategyOptions,
}
LABEL_FILES = ("points", "fields", "areas")  # settings that name a file of labels
INPUT_FILES = (*LABEL_FILES, "label_table", "init")  # settings that name a file; its sha256 stands in config.json
DERIVED = ("points_per_patch", "bag_size", "share_step", "share_noise", "label_noise")  # not with a label file


@dataclass(frozen=True, kw_only=True)
class Settings(LabelOptions, DataOptions, NetworkOptions, OptimizerOptions, StrategyOptions):
    """The settings of a run. A setting that is not passed takes its measured default for the network and the kind of label (`training.presets`).

    Adam at 1e-3 in batches of 32 is the setting of the paper that followed the poster; the poster states none.

    Raises:
        ConfigError: a value is out of range or does not go with the kind of label; names the option.

    >>> Settings(labels="shares", epochs=4).passed
    {'labels': 'shares', 'epochs': 4}
    """

    def __new__(cls, **passed: Any) -> Settings:  # noqa: ANN401 - typed by the fields
        """Record which settings were passed: a default may depend on the others."""
        settings = super().__new__(cls)
        object.__setattr__(settings, "_passed", dict(passed))
        return settings

    def __post_init__(self) -> None:
        for name, option in declared().items():
            value = getattr(self, name)
            rule = f"one of {', '.join(option.choices)}" if option.choices else option.rule
            if (option.choices and value not in option.choices) or (option.valid and not option.valid(value)):
                raise ConfigError(f"{flag(name)} {value} is not possible; it must be {rule}")
            if option.kinds and self.labels not in option.kinds and value != default_of(name):
                raise ConfigError(f"{flag(name)} goes with --labels {' or '.join(option.kinds)}, not with {self.labels}")
        self._check_label_files()

    def _check_label_files(self) -> None:
        passed = [flag(name) for name in LABEL_FILES if getattr(self, name)]
        if len(passed) > 1:
            raise ConfigError(f"{' and '.join(passed)} do not go together: labels come from one file")
        if self.fields_buffer and not self.fields:
            raise ConfigError("--fields-buffer goes with --fields")
        if self.label_table and not (self.fields or self.areas):
            raise ConfigError("--label-table goes with --fields or --areas")
        if self.label_column and not (self.points or self.fields or (self.areas and self.label_table)):
            raise ConfigError("--label-column goes with --points, --fields, or --areas and --label-table")
        for file in LABEL_FILES:
            for name in DERIVED:
                if getattr(self, file) and getattr(self, name) != default_of(name):
                    raise ConfigError(f"{flag(name)} derives labels from the store's truth; with {flag(file)} they come from the file")

    @property
    def passed(self) -> dict[str, Any]:
        """The settings that were passed, by name."""
        return dict(self._passed)  # type: ignore[attr-defined]

    def section(self, kind: type[Section]) -> Section:
        """One section of these settings."""
        return kind(**{item.name: getattr(self, item.name) for item in fields(kind)})  # type: ignore[arg-type]


@cache
def declared() -> Mapping[str, Option]:
    """Every option by its setting's name, in order of declaration."""
    return {item.name: item.metadata["option"] for section in SECTIONS.values() for item in fields(section)}


@cache
def types() -> Mapping[str, Any]:
    """The type of every setting."""
    return get_type_hints(Settings)


def default_of(name: str) -> Any:  # noqa: ANN401 - of any type
    """The default of a setting, before presets."""
    return getattr(Settings, name)


def flag(name: str) -> str:
    """The command-line name of a setting.

    >>> flag("bag_size")
    '--bag-size'
    """
    return "--" + name.replace("_", "-")


def proportions(text: str) -> tuple[float, ...]:
    """Numbers separated by commas, as a type of argparse.

    >>> proportions("0.5,0.25,0.25")
    (0.5, 0.25, 0.25)
    """
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r}: give one number per class, separated by commas") from None
