"""The configuration of a run: passed settings resolved, checked against the store, and merged with those of a resumed run."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from cropcam.model.labels import files
from cropcam.model.labels.weak_labels import OF_PIXELS
from cropcam.model.losses.objectives import objective
from cropcam.model.networks import FittedNetwork, network_class
from cropcam.model.networks.declared_options import Value, complete_options, training_defaults
from cropcam.model.networks.registry import package_of
from cropcam.model.options import INPUT_FILES, SECTIONS, DataOptions, LabelOptions, Settings, declared, default_of, flag
from cropcam.model.runs.checkpoint import BEST, HISTORY, LAST
from cropcam.model.runs.config import CONFIG, RunConfig, StorePart, StoreRecord, load_config, store_differences
from cropcam.model.training.initial_network import resolve_initial_weights
from cropcam.model.training.presets import measured_loss, resolved
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.joined import JoinedStore
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import StoreInfo

RESOLVED = ("precision", "deterministic", "data_loading", "passes")  # "auto" is resolved once, when a run begins
# settings that a network without gradients uses; the batch is of its validation
_OF_FITTED = {
    *(item.name for kind in (LabelOptions, DataOptions) for item in fields(kind)),
    "model",
    "model_options",
    "loss",
    "deterministic",
    "passes",
} - {"rot90"}


def configure(store: PatchStore, run: Path, passed: Mapping[str, Any], resume: bool) -> RunConfig:
    """The configuration of a new run, or of the resumed run in the folder `run`, perhaps with more epochs. Writes nothing.

    Settings that are not `passed` are the resumed run's, else the measured defaults. `store` may be a join of several.

    Raises:
        ConfigError: the folder holds a run and `resume` is false, or a setting differs from the run's or is not possible with the store;
            a file cannot be read, or a network that is not built in cannot be imported.
        DataError: the run has another store, or its configuration is damaged.
    """
    if run.exists() and not run.is_dir():
        raise ConfigError(f"{run}: is a file; name a folder for the run")
    begun, holds_run = (run / CONFIG).exists(), any((run / name).exists() for name in (LAST, BEST, HISTORY))
    if resume and begun and not holds_run:  # no step was trained: settings may still change
        before = load_config(run)
        passed = {name: before.setting(name) for name in declared()} | dict(passed)
    passed = {name: value for name, value in passed.items() if not (name in RESOLVED and value in ("auto", None, 0))}
    if holds_run and not resume:
        raise ConfigError(f"{run}: holds a run already; go on with it with --resume, or name another folder")
    if not holds_run:
        return _new(store, run, passed, _resolve_files(passed))
    config = load_config(run)
    if passed.get("init") and str(Path(passed["init"]).resolve()) == config.network.init:
        del passed["init"]  # a run with a checkpoint does not need the file any more
    digests = _resolve_files(passed)
    if passed.get("model_options"):
        model = passed.get("model", config.network.model)
        passed["model_options"] = complete_options(network_class(model), passed["model_options"], model, _of_store(store.info))
    if differences := store_differences(config.store, store.info):
        more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
        named = ", ".join(str(part.path) for part in store.parts.values())
        raise DataError(f"{named}: not the store that {run} was trained on: {differences[0]}{more}; name that store or another run folder")
    config = config.changed(**_changes(config, run, passed, digests))
    return replace(config, store=replace(config.store, path=_relative_path(store.path, run)), stores=_parts(store, run))


def _resolve_files(passed: dict[str, Any]) -> dict[str, str]:
    """The sha256 (hex) of every file that `passed` names, by setting; the paths in `passed` become absolute."""
    digests = {}
    for name in INPUT_FILES:
        if path := passed.get(name):
            resolve = resolve_initial_weights if name == "init" else files.resolve_label_file
            passed[name], digests[name] = resolve(path, flag(name))
    return digests


def _relative_path(store: Path, run: Path) -> str:
    """The store's path from the run folder: both may be moved together."""
    return os.path.relpath(store.resolve(), run.resolve())


def _parts(store: PatchStore, run: Path) -> tuple[StorePart, ...]:
    """The stores of a join; none of a single store."""
    if not isinstance(store, JoinedStore):
        return ()
    return tuple(
        StorePart(
            name=name,
            path=_relative_path(part.path, run),
            digest=part.info.digest,
            held_out=name in store.held_out,
            attrs=part.info.attrs(),
        )
        for name, part in store.parts.items()
    )


def _new(store: PatchStore, run: Path, passed: Mapping[str, Any], digests: dict[str, str]) -> RunConfig:
    settings, info = Settings(**passed), store.info  # checks the ranges
    model, network = settings.model, network_class(settings.model)
    own, share = training_defaults(network, model), info.study.get("labels", {}).get("presence_min_share", 0.0)
    if issubclass(network, FittedNetwork):
        _check_fitted(settings, own)
    source = _source(settings, info)
    settings = resolved({"presence_min_share": share, **passed}, own, adapts=source is not None)
    loss = measured_loss(settings) if settings.loss == "best" else settings.loss
    objective(loss, settings.labels)
    if settings.class_prior and len(settings.class_prior) != len(info.classes):
        raise ConfigError(
            f"--class-prior has {len(settings.class_prior)} shares, the store has {len(info.classes)} classes: {', '.join(info.classes.names)}"
        )
    if settings.points_per_patch > info.patch_size_px**2:
        raise ConfigError(
            f"--points-per-patch {settings.points_per_patch} is not possible: a patch has {info.patch_size_px**2} pixels "
            f"({info.patch_size_px} x {info.patch_size_px}); for labels of all pixels use --labels pixels"
        )
    if settings.pseudo_label_weight and not objective(loss, settings.labels).is_softmax:
        raise ConfigError(
            f"--pseudo-label-weight does not go with --loss {loss}, whose logits are not on one scale: leave it out, or use another --loss"
        )
    mean, std = (tuple(float(value) for value in info.statistics[key]) for key in ("mean", "std"))
    if source is not None and source.store.bands == info.bands:
        mean, std = source.store.mean, source.store.std  # the weights are of values standardised so
    if not all(map(math.isfinite, (*mean, *std))):
        raise DataError(f"{store.path}: a band has no mean or standard deviation over the training split; build the store again")
    record = StoreRecord(
        study=" + ".join(dict.fromkeys(part.info.name for part in store.parts.values())),
        path=_relative_path(store.path, run),
        digest=info.digest,
        bands=info.bands,
        encoding=info.encoding,
        classes=info.classes,
        size_px=info.patch_size_px,
        mean=mean,
        std=tuple(value or 1.0 for value in std),  # a constant band becomes 0 everywhere
        attrs=info.attrs(),
    )
    sections: dict[str, Any] = {name: settings.section(kind) for name, kind in SECTIONS.items()}
    more: dict[str, Any] = {"digests": digests, "network_package": package_of(model), "stores": _parts(store, run)}
    config = RunConfig(**sections, store=record, code_version=__version__, **more)
    return config.changed(loss=loss, model_options=complete_options(network, settings.model_options, model, _of_store(info)))


def _of_store(info: StoreInfo) -> dict[str, Value]:
    """The options of networks that follow from the store, by name (docs/networks.md)."""
    return {"season_days": "/".join(map(str, info.season_days))}


def _source(settings: Settings, info: StoreInfo) -> RunConfig | None:
    """The configuration of the run that `init` names; None of a file of weights, and without one.

    Raises:
        ConfigError: the run's bands are those of the store in another order.
    """
    if not settings.init or not Path(settings.init).is_dir():
        return None
    source = load_config(Path(settings.init))
    before = source.store.bands
    if before != info.bands and sorted(before) == sorted(info.bands):
        raise ConfigError(
            f"--init {settings.init}: its bands are {', '.join(before)}, those of the store are {', '.join(info.bands)}: the same in another "
            "order; build the store again in that order"
        )
    return source


def _check_fitted(settings: Settings, own: Mapping[str, Any]) -> None:
    """Refuse what a network without gradients cannot use: a setting that would change nothing, and labels that give no pixel a class."""
    model = settings.model
    if settings.labels not in OF_PIXELS:
        raise ConfigError(
            f"--model {model} learns from pixels with a class, which {settings.labels} labels do not give: name --labels "
            f"{' or '.join(OF_PIXELS)}, or take --model linear, which learns from every kind of label"
        )
    for name, value in settings.passed.items():
        if name not in _OF_FITTED and value != own.get(name, default_of(name)):
            raise ConfigError(f"{flag(name)} does not go with --model {model}, which is fitted at once, without gradients; leave it out")


def _changes(config: RunConfig, run: Path, passed: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """The passed settings that a resumed run may change: more epochs, and another place of the same file."""
    Settings(**passed)  # checks the ranges
    changes: dict[str, Any] = {}
    for name, value in passed.items():
        trained = config.setting(name)
        if name in INPUT_FILES and trained and value:
            then, now = config.digests[name][:12], digests[name][:12]
            if then != now:
                raise ConfigError(
                    f"{run}: trained with {flag(name)} {trained} (sha256 {then}), now {value} ({now}), which differs; "
                    "put that file back, or name another folder"
                )
            changes[name] = value  # the same file at another path
        elif name == "epochs" and value > trained and not config.is_fitted:
            changes[name] = value
        elif value != trained:
            hint = "it can only grow" if name == "epochs" and not config.is_fitted else "leave it out"
            raise ConfigError(f"{run}: trained with {flag(name)} {trained}, now {value}; {hint}, or name another folder")
    return changes
