"""Presets (poster, paper) and the measured defaults by network and kind of label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropcam.model.options import ANY_BELOW, Settings, declared
from cropcam.pipeline.errors import ConfigError

# The poster has no learning rate, batch size or optimizer: the defaults stay. The paper: U-Net, Adam 1e-3, batches of 32.
PRESETS: dict[str, dict[str, Any]] = {
    "poster": {"model": "baseline", "labels": "presence", "loss": "bce"},
    "paper": {
        "model": "unet",
        "labels": "points",
        "optimizer": "adam",
        "lr": 1e-3,
        "batch_size": 32,
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup_epochs": 0.0,
        "label_smoothing": 0.0,
        "pseudo_label_weight": 0.0,
    },
}
_COSINE = {"weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True}
_OF_NETWORK: dict[str, dict[str, Any]] = {
    "fcn": {"lr": 1e-2, **_COSINE},
    "fcn-time": {"lr": 1e-2, **_COSINE},
    "unet": {"lr": 2e-3, **_COSINE},
}
# Of `fcn`, by kind of label; "any pixel" is presence below 1 %. docs/results.md has the measurements.
_OF_LABELS: dict[str, dict[str, Any]] = {
    "any pixel": {"lr": 3e-3, "weight_decay": 0.1, "class_weights": "balanced"},
    "presence": {"pseudo_label_weight": 1.0},
    "points": {"lr": 3e-3, "weight_decay": 0.1},
}

# From scratch with few labels, and going on from a run of another place (docs/results.md).
_OF_FEW: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.1}
_ADAPTED: dict[str, Any] = {"lr": 1e-3, "weight_decay": 1e-2, "freeze": "statistics"}


def preset(name: str, passed: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, overridden by the passed ones; the epochs depend on the poster's network and the paper's kind of label.

    >>> preset("poster", {"model": "resnet50"})["epochs"]
    50

    Raises:
        ConfigError: no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; known: {', '.join(PRESETS)}")
    settings = {**PRESETS[name], **passed}
    long = settings["model"] == "resnet50" if name == "poster" else settings["labels"] in ("points", "pixels")
    epochs = {("poster", False): 16, ("poster", True): 50, ("paper", True): 50, ("paper", False): 200}[name, long]
    return {"epochs": epochs, **settings}


def resolved(passed: Mapping[str, Any], own: Mapping[str, Any] | None = None, *, adapts: bool = False) -> Settings:
    """The passed settings, completed by the measured defaults of the network and the kind of label.

    `adapts` where the run goes on from another run, `own` are the defaults that a network which is not built in declares; those of other kinds of label do not count.

    >>> resolved({"labels": "points"}).lr, resolved({"labels": "points", "model": "baseline"}).lr
    (0.003, 0.001)

    Raises:
        ConfigError: a setting is out of range or does not go with the others.
    """
    settings = Settings(**passed)
    allowed = {name for name, option in declared().items() if not option.kinds or settings.labels in option.kinds}
    defaults = {name: value for name, value in (own or _OF_NETWORK.get(settings.model, {})).items() if name in allowed}
    if settings.model == "fcn" and settings.loss in ("best", measured_loss(settings)):
        defaults |= _OF_LABELS.get(_kind(settings), {})
    if settings.model == "fcn" and settings.areas:
        defaults |= _OF_FEW
    if adapts:
        defaults |= _ADAPTED
    if "epochs" in passed or "epochs" in defaults:  # whoever names the epochs has named the steps
        defaults["passes"] = 1
    return Settings(**{**defaults, **passed})


def measured_loss(settings: Settings) -> str:
    """The best measured loss for a kind of label; the poster's with its networks (docs/results.md).

    >>> measured_loss(Settings(labels="presence", presence_min_share=0.05)), measured_loss(Settings(labels="presence", model="baseline"))
    ('threshold', 'bce')
    """
    if settings.labels != "presence":
        return "cross-entropy" if settings.labels in ("points", "pixels") else settings.labels
    any_pixel = "lse" if settings.presence_min_share < ANY_BELOW else "threshold"
    return "bce" if settings.model in ("baseline", "resnet50") else any_pixel


def _kind(settings: Settings) -> str:
    any_pixel = settings.labels == "presence" and settings.presence_min_share < ANY_BELOW
    return "any pixel" if any_pixel else settings.labels
