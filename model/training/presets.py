"""Settings that go together: the poster's, the paper's, and those measured best for a kind of label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cropcam.model.labels.weak_labels import ANY_BELOW, OF_PIXELS
from cropcam.pipeline.errors import ConfigError

# The poster states no step size, batch or optimiser: ours are kept. The paper: U-Net, Adam 1e-3, batches of 32.
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
        "self_labels": 0.0,
    },
}


def preset(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a preset, those given put over them; epochs follow the poster's network and the paper's kind of label.

    >>> preset("poster", {"model": "resnet50"})["epochs"]
    50

    Raises:
        ConfigError: no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"no preset {name!r}; known: {', '.join(PRESETS)}")
    settings = {**PRESETS[name], **given}
    long = settings["model"] == "resnet50" if name == "poster" else settings["labels"] in OF_PIXELS
    epochs = {("poster", False): 16, ("poster", True): 50, ("paper", True): 50, ("paper", False): 200}[name, long]
    return {"epochs": epochs, **settings}


# Chosen on validation splits of more than one place (docs/results.md). Networks that are not named here keep the defaults of Settings.
_OF_NETWORK: dict[str, dict[str, Any]] = {
    "fcn": {"lr": 1e-2, "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True},
    "unet": {"lr": 2e-3, "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True},
}
# Few labels per patch: a smaller learning rate and more decay.
_OF_ANY: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.1, "class_weights": "balanced", "self_labels": 3.0}
_OF_POINTS: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.1, "label_smoothing": 0.1, "self_labels": 3.0}
_OF_SHARES: dict[str, Any] = {"self_labels": 1.0}
_OF_GROUPS: dict[str, Any] = {"self_labels": 3.0}
_OF_THRESHOLD: dict[str, Any] = {"self_labels": 1.0}


def recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given settings over the measured defaults of the kind of label and the network.

    >>> recipe({"labels": "points"})["model"], recipe({"labels": "points"})["self_labels"]
    ('fcn', 3.0)
    >>> recipe({"labels": "shares", "model": "baseline"})
    {'model': 'baseline', 'labels': 'shares'}
    """
    labels = given.get("labels", "presence")
    model = given.get("model", "fcn")
    bagged = given.get("bag_size", 1) > 1 or given.get("areas")
    wanted, of_presence = ("lse", _OF_ANY) if given.get("presence_min_share", 0.0) < ANY_BELOW else ("threshold", _OF_THRESHOLD)
    of_labels = {
        "points": _OF_POINTS,
        "shares": _OF_GROUPS if bagged else _OF_SHARES,
        "presence": of_presence if given.get("loss", "best") in ("best", wanted) else {},
    }
    return {
        "model": model,
        **_OF_NETWORK.get(model, {}),
        **(of_labels.get(labels, {}) if model == "fcn" else {}),
        **given,
    }
