"""RUN/config.json: the settings of a run in sections, and the store it was trained on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from cropcam.model.labels.weak_labels import LabelSpec
from cropcam.model.losses.objectives import Objective, objective
from cropcam.model.networks import NETWORKS, FittedNetwork, Network, build, network_class
from cropcam.model.options import SECTIONS, DataOptions, LabelOptions, NetworkOptions, OptimizerOptions, Settings, StrategyOptions
from cropcam.model.runs.config_types import check_config
from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.runtime.console import detail
from cropcam.pipeline.runtime.terminal import quoted
from cropcam.pipeline.store.schema import ROOT, StoreInfo
from cropcam.pipeline.text_files import read_json_object

CONFIG = "config.json"
_LATER = (
    "model_options",
    "init",
    "freeze",
    "fields",
    "fields_buffer",
    "label_table",
    "label_column",
    "hold_out_store",
    "passes",
)  # settings that runs of earlier versions lack; they trained with the defaults
_DERIVED = ("digests", "dropped", "statistics")  # attributes of a store that follow from others


@dataclass(frozen=True, kw_only=True)
class StoreRecord:
    """The store that a run was trained on."""

    study: str  # its study's name
    path: str  # relative to the run folder
    digest: str  # of its content
    bands: tuple[str, ...]  # names of the image layers
    encoding: BandEncoding  # what its stored values mean
    classes: Legend  # the legend
    size_px: int  # side of a patch
    mean: tuple[float, ...]  # per band over the training split
    std: tuple[float, ...]  # standard deviation of the same, 1 for a constant band
    attrs: dict[str, Any] = field(default_factory=dict)  # all attributes of the store


@dataclass(frozen=True, kw_only=True)
class StorePart:
    """One of the several stores of a run."""

    name: str  # as of `joined.store_names`
    path: str  # relative to the run folder
    digest: str  # of its content
    held_out: bool  # its patches are the test split
    attrs: dict[str, Any]  # all attributes of the store


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """A run's settings in sections, resolved: no setting is left to the machine."""

    labels: LabelOptions
    data: DataOptions
    network: NetworkOptions
    optimizer: OptimizerOptions
    strategy: StrategyOptions
    store: StoreRecord
    code_version: str
    digests: dict[str, str] = field(default_factory=dict)  # sha256 (hex) of the files that `options.INPUT_FILES` name
    network_package: str = ""  # NAME==VERSION of the package that the network is of; empty for a built-in one
    trained_patches: int = 0  # patches that are trained on: those with a label; 0 = not recorded
    stores: tuple[StorePart, ...] = ()  # of a run on several stores, which `store` describes joined; else empty

    @property
    def label_spec(self) -> LabelSpec:
        """How the weak labels are derived."""
        return LabelSpec(**vars(self.labels), seed=self.data.seed, digests=self.digests)

    @property
    def objective(self) -> Objective:
        """The loss, with the presence and the segmentation that belong to it."""
        return objective(self.optimizer.loss, self.labels.labels)

    @property
    def trained_digests(self) -> frozenset[str]:
        """Digests of the stores that are trained on, and of their join; none of a store held out."""
        return frozenset((self.store.digest, *(part.digest for part in self.stores if not part.held_out)))

    def store_paths(self, run: Path) -> list[Path]:
        """Where the stores are that the run was trained on, seen from where the command runs."""
        found = [run / part.path for part in self.stores] or [run / self.store.path]
        short = [Path(os.path.normpath(path)) for path in found]  # another place where the run is a link
        return [each if each.exists() and each.samefile(path) else path for each, path in zip(short, found, strict=True)]

    @property
    def keep_last_epoch(self) -> bool:
        """Whether the last epoch is selected instead of the epoch of the lowest validation loss (`Strategy.keep_last_epoch`)."""
        return self.strategy.pseudo_label_weight > 0

    @property
    def uses_unlabelled(self) -> bool:
        """Whether patches without a label are trained on: by their pseudo-labels."""
        return self.strategy.pseudo_label_weight > 0

    @property
    def matches_prior(self) -> bool:
        """Whether known class shares calibrate one-vs-rest logits in the segmentation."""
        return bool(self.labels.class_prior) and not self.objective.is_softmax

    @property
    def is_fitted(self) -> bool:
        """Whether the network is fitted at once to labelled pixels (`FittedNetwork`); no network from elsewhere is."""
        return issubclass(NETWORKS.get(self.network.model, Network), FittedNetwork)

    @property
    def seasons(self) -> int:
        """Seasons of the store of which one complete makes a pixel valid, for a network that takes missing ones; else 1: every band is needed.

        Raises:
            ConfigError: the network is not built in and cannot be imported.
        """
        kind = network_class(self.network.model, self.network_package)
        return len(self.store.attrs["study"]["image"]["seasons"]) if kind.takes_missing_seasons else 1

    def new_network(self) -> Network:
        """A network of the run's settings with new weights, from torch's random state, on the CPU.

        Raises:
            ConfigError: the network is not built in and cannot be imported, or is not as required (docs/networks.md).
        """
        options, sizes = self.network.model_options, (len(self.store.bands), len(self.store.classes))
        return build(self.network.model, *sizes, options, package=self.network_package)

    def changed(self, **settings: Any) -> RunConfig:  # noqa: ANN401 - typed by the sections
        """The configuration with other values of some settings, by name."""
        sections = {key: {name: settings[name] for name in vars(getattr(self, key)).keys() & settings.keys()} for key in SECTIONS}
        return replace(self, **{key: replace(getattr(self, key), **values) for key, values in sections.items() if values})

    def store_attrs(self) -> list[dict[str, Any]]:
        """The attributes of each store that is trained on; empty where the run does not record them."""
        attrs = [part.attrs for part in self.stores if not part.held_out] or [self.store.attrs]
        return [values for values in attrs if values]

    def setting(self, name: str) -> Any:  # noqa: ANN401 - of any type
        """A setting by its name, of any section."""
        return next(getattr(section, name) for section in (getattr(self, key) for key in SECTIONS) if hasattr(section, name))

    def to_json(self) -> dict[str, Any]:
        """The configuration as JSON values, one object per section."""
        sections = {name: vars(getattr(self, name)) for name in SECTIONS}
        store = {**vars(self.store), "encoding": self.store.encoding.attrs(), "classes": self.store.classes.attrs()}
        values = {**sections, "store": store, "digests": self.digests, "network_package": self.network_package}
        values["trained_patches"] = self.trained_patches
        values |= {"stores": [vars(part) for part in self.stores]} if self.stores else {}
        return dict(json.loads(json.dumps({**values, "code_version": self.code_version})))

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunConfig:
        """The inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: a section or a setting is missing, unknown or of another type.
        """
        check_config(values)
        sections = {name: _section(kind, values[name]) for name, kind in SECTIONS.items()}
        record = values["store"]
        legend = Legend.from_attrs(record["classes"], record["attrs"].get("legend"))
        typed = {"classes": legend, "encoding": BandEncoding.from_attrs(record["encoding"])}
        store = _section(StoreRecord, {**record, **typed})
        parts = tuple(_section(StorePart, part) for part in values.get("stores", ()))
        more = {"digests": dict(values["digests"]), "network_package": values.get("network_package", ""), "stores": parts}
        more["trained_patches"] = values.get("trained_patches", 0)
        return cls(**sections, store=store, **more, code_version=values["code_version"])


def load_config(run: Path) -> RunConfig:
    """The configuration of a run folder.

    Raises:
        DataError: no run folder, or a configuration that is damaged or of an older version.
    """
    path = run / CONFIG
    if not path.is_file() and (run / ROOT).is_file():
        raise DataError(f"{run}: is a patch store, no run folder; name a run, or train one: cropcam train {quoted(run)} --run RUN")
    if not path.is_file():
        raise DataError(f"{run}: no run folder (no {CONFIG} in it); make one with 'cropcam train STORE --run {quoted(run)}'")
    values = read_json_object(path, "the configuration of a run", step="train the run again")
    if "labels" in values and not isinstance(values["labels"], dict):
        raise DataError(f"{path}: written by an older version of cropcam, without sections; train again into another folder")
    try:
        config = RunConfig.from_json(values)
        Settings(**{name: value for key in SECTIONS for name, value in vars(getattr(config, key)).items()})  # checks the ranges
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        raise DataError(f"{path}: damaged ({error}); train the run again") from None
    detail(f"run {run}: {config.network.model}, labels {config.labels.labels}, store {config.store.digest[:12]}")
    return config


def store_differences(trained: StoreRecord | StorePart, info: StoreInfo) -> list[str]:
    """One line per attribute in which a store differs from a run's store; empty when they are equal.

    Attributes that follow from others (digests, counts, statistics) come last. The code version is not compared.
    """
    if trained.digest == info.digest:
        return []
    then, now = _flat(trained.attrs), _flat(info.attrs())
    differing = [key for key in {*then, *now} - {"code_version"} if then.get(key) != now.get(key)]
    if not then or not differing:
        return [f"digest: {trained.digest[:12]} against {info.digest[:12]}"]
    differing.sort(key=lambda key: (key.startswith(_DERIVED), key))
    return [f"{key}: {then.get(key)!r} against {now.get(key)!r}" for key in differing]


def _section(kind: type, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - of that type
    if missing := {item.name for item in fields(kind)} - {*values, *_LATER}:
        raise KeyError(", ".join(sorted(missing)))
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested attributes under dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
