"""What a run is told: settings, checked, and joined with what a resumed run was told before."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cropcam.model.data.loading import FEEDS
from cropcam.model.labels import files as ownfile
from cropcam.model.labels.weak_labels import KINDS
from cropcam.model.losses.objectives import best_objective, objective
from cropcam.model.losses.weighting import CLASS_WEIGHTS
from cropcam.model.networks import NETWORKS
from cropcam.model.runs.checkpoint import BEST, CONFIG, HISTORY, LAST, RunConfig, load_config, store_differences
from cropcam.model.runs.options import Options
from cropcam.model.runtime.device import PRECISIONS
from cropcam.model.training.optimizers import OPTIMIZERS, SCHEDULES
from cropcam.model.training.presets import recipe
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.schema import StoreInfo

SETTLED = ("precision", "deterministic", "feed")  # "auto" is settled once, when a run begins, and then stays
_OF_KIND = {
    "share_step": ("shares",),
    "share_noise": ("shares",),
    "bag_size": ("shares",),
    "points_per_patch": ("points",),
    "points": ("points",),
    "areas": ("shares",),
    "label_noise": ("presence", "majority", "points", "pixels"),
}


OWN_FILES = {  # by setting: what says how labels are made from the truth, so not from the file
    "points": ("points_per_patch", "label_noise"),
    "areas": ("share_step", "share_noise", "bag_size"),
}


@dataclass(frozen=True, kw_only=True)
class Settings(Options):
    """What a run can be told, with the defaults; a new run takes what `cropcam.model.training.presets` says before them.

    Adam at 1e-3 in batches of 32 is the setting of the paper that followed the poster; the poster states none.

    Raises:
        ConfigError: a value is out of range; names the option.
    """

    model: str = "baseline"
    labels: str = "presence"
    presence_min_share: float = 0.0
    epochs: int = 16
    batch_size: int = 32
    lr: float = 1e-3
    weight_decay: float = 1e-4
    seed: int = 0
    loss: str = "best"
    precision: str = "auto"
    feed: str = "auto"

    def __post_init__(self) -> None:
        rules = {
            "model": (self.model in NETWORKS, f"one of {', '.join(NETWORKS)}"),
            "labels": (self.labels in KINDS, f"one of {', '.join(KINDS)}"),
            "presence_min_share": (0 <= self.presence_min_share < 1, "at least 0 and below 1"),
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "lr": (0 < self.lr < math.inf, "a number above 0"),
            "weight_decay": (0 <= self.weight_decay < math.inf, "a number of at least 0"),
            "share_step": (0 <= self.share_step <= 0.5, "at least 0 and at most 0.5"),
            "share_noise": (0 <= self.share_noise < 1, "at least 0 and below 1"),
            "bag_size": (self.bag_size >= 1, "at least 1"),
            "points_per_patch": (self.points_per_patch >= 1, "at least 1"),
            "label_noise": (0 <= self.label_noise < 1, "at least 0 and below 1"),
            "class_prior": (
                not self.class_prior or (min(self.class_prior) >= 0 and abs(sum(self.class_prior) - 1) < 0.01),
                "shares of at least 0 that add up to 1",
            ),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "warmup_epochs": (0 <= self.warmup_epochs < math.inf, "a number of at least 0"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "at least 0 and below 1"),
            "class_weights": (self.class_weights in CLASS_WEIGHTS, f"one of {', '.join(CLASS_WEIGHTS)}"),
            "clip_norm": (0 <= self.clip_norm < math.inf, "a number of at least 0; 0 = no clipping"),
            "self_labels": (0 <= self.self_labels < math.inf, "a number of at least 0; 0 = learn from the labels alone"),
            "patience": (self.patience >= 0, "at least 0; 0 = never stop early"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "feed": (self.feed in FEEDS, f"one of {', '.join(FEEDS)}"),
            "seed": (0 <= self.seed < 2**63, "at least 0 and below 2^63"),
        }
        for name, (fine, rule) in rules.items():
            if not fine:
                raise ConfigError(f"{option(name)} {getattr(self, name)} is not possible; it must be {rule}")
        for name, kinds in _OF_KIND.items():
            if self.labels not in kinds and getattr(self, name) != getattr(type(self), name):
                raise ConfigError(f"{option(name)} goes with --labels {' or '.join(kinds)}, not with {self.labels}")
        if self.labels not in (kinds := CLASS_WEIGHTS[self.class_weights]):
            raise ConfigError(f"--class-weights {self.class_weights} goes with --labels {' or '.join(kinds)}, not with {self.labels}")
        for name, others in OWN_FILES.items():
            for other in others:
                if getattr(self, name) and getattr(self, other) != getattr(type(self), other):
                    raise ConfigError(f"{option(other)} makes labels from the store's truth; with {option(name)} they come from the file")
        if self.loss != "best":
            objective(self.loss, self.labels)


SETTINGS = tuple(field.name for field in fields(Settings))


def configure(store: Path, info: StoreInfo, run: Path, given: Mapping[str, Any], resume: bool) -> RunConfig:
    """The configuration of a new run, or of the one in the folder `run` with more epochs. Writes nothing.

    Args:
        store: where the store lies.
        info: what it says of itself.
        run: the run folder.
        given: the settings that were given; the others are the resumed run's own, else the defaults.
        resume: whether to go on with what the folder holds.

    Raises:
        ConfigError: the folder holds a run and `resume` is false, or a setting differs from the run's or does not fit the store.
        DataError: the run was trained on another store, or its configuration is damaged.
    """
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run}: is a file; name a folder for the run")
    begun, holds_run = (run / CONFIG).exists(), any((run / name).exists() for name in (LAST, BEST, HISTORY))
    if resume and begun and not holds_run:  # nothing was learned yet: what is given now may differ
        before = load_config(run)
        joined = {name: getattr(before, name) for name in SETTINGS} | dict(given)
        given = joined
    given = {name: value for name, value in given.items() if not (name in SETTLED and value in ("auto", None))}
    digests: dict[str, Any] = {}
    for name in OWN_FILES:
        if given.get(name):
            given[name], digests[f"{name}_digest"] = ownfile.settled(given[name], option(name))
    if not holds_run:
        return replace(_fresh(store, info, run, given), **digests)
    if not resume:
        raise ConfigError(f"{run}: holds a run already; go on with it with --resume, or name another folder")
    config = load_config(run)
    if found := store_differences(config, info):
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise DataError(f"{store}: not the store that {run} was trained on: {found[0]}{more}; name that store or another run folder")
    return replace(_continued(config, run, given, digests), store=_from_run(store, run))


def option(name: str) -> str:
    """A setting's name on the command line."""
    return "--" + name.replace("_", "-")


def _from_run(store: Path, run: Path) -> str:
    """The store's path as seen from the run folder: both may move together, and no working directory matters."""
    return os.path.relpath(store.resolve(), run.resolve())


def _fresh(store: Path, info: StoreInfo, run: Path, given: Mapping[str, Any]) -> RunConfig:
    told = {"presence_min_share": info.study["labels"]["presence_min_share"], **given}
    settings = Settings(**recipe(told))
    if settings.class_prior and len(settings.class_prior) != len(info.classes):
        raise ConfigError(
            f"--class-prior has {len(settings.class_prior)} shares, the store has {len(info.classes)} classes: {', '.join(info.classes.names)}"
        )
    if settings.points_per_patch > info.patch_size_px**2:
        raise ConfigError(
            f"--points-per-patch {settings.points_per_patch} is not possible: a patch has {info.patch_size_px**2} pixels "
            f"({info.patch_size_px} x {info.patch_size_px}); to learn from all of them say --labels pixels"
        )
    loss = _loss(settings)
    if settings.self_labels and loss == "bce":
        raise ConfigError("--self-labels does not go with --loss bce, whose classes share no scale: leave it out, or name another --loss")
    mean, std = (tuple(float(value) for value in info.statistics[key]) for key in ("mean", "std"))
    if not all(map(math.isfinite, (*mean, *std))):
        raise DataError(f"{store}: a band has no mean or standard deviation over the training split; cut the store again")
    return RunConfig(
        study=info.name,
        store=_from_run(store, run),
        store_digest=info.digest,
        bands=info.bands,
        classes=info.classes,
        size_px=info.patch_size_px,
        mean=mean,
        std=tuple(value or 1.0 for value in std),  # a constant band becomes 0 everywhere: it says nothing and harms nothing
        code_version=__version__,
        store_attrs=info.attrs(),
        **{field.name: getattr(settings, field.name) for field in fields(settings)} | {"loss": loss},
    )


def _loss(settings: Settings) -> str:
    if settings.loss != "best":
        return settings.loss
    return best_objective(settings.labels, settings.model, settings.presence_min_share)


def _continued(config: RunConfig, run: Path, given: Mapping[str, Any], digests: Mapping[str, Any]) -> RunConfig:
    moved: dict[str, Any] = {}
    for name, value in given.items():
        ours = getattr(config, name)
        if name in OWN_FILES and ours and value:
            then, now = getattr(config, f"{name}_digest"), digests[f"{name}_digest"]
            if then != now:
                raise ConfigError(
                    f"{run}: trained with {option(name)} {ours} (sha256 {then[:12]}), asked to go on with {value} ({now[:12]}), which differs; "
                    "put that file back, or name another folder"
                )
            moved[name] = value  # the same file, wherever it lies now
            continue
        if value != ours and not (name == "epochs" and value > ours):
            hint = "it can only grow" if name == "epochs" else "leave it out"
            raise ConfigError(f"{run}: trained with {option(name)} {ours}, asked to go on with {value}; {hint}, or name another folder")
    return replace(config, epochs=given.get("epochs", config.epochs), **moved)
