"""Settings that go together: the poster's, the paper's, and those measured best for a kind of label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from model.labels import OF_PIXELS
from pipeline.errors import ConfigError

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
        "whiten": False,
        "prior_bias": False,
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


# Chosen on the validation part of dakota-2015 (docs/results.md). Networks that are not named here keep the defaults of Settings.
_OF_NETWORK: dict[str, dict[str, Any]] = {
    "fcn": {"lr": 1e-2, "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True, "whiten": True},
    "unet": {"lr": 2e-3, "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1.0, "channels_last": True, "whiten": True},
}
# "Any pixel": all there is to learn from are the few patches without a class.
_OF_ANY: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.1, "class_weights": "balanced", "symmetric": True, "self_labels": 3.0}
# One pixel per patch: decorrelated bands let a network learn so few labels by heart; most is learned from what its own mean says of the others.
# Of a class that next to no point names it says nothing, unless the few count for more.
_OF_POINTS: dict[str, Any] = {"lr": 3e-3, "weight_decay": 0.1, "label_smoothing": 0.1, "self_labels": 3.0}
_OF_OWN_POINTS: dict[str, Any] = {"unlabelled": "auto", "class_weights": "very-rare"}
WITH_LEVELS = ("none", "very-rare")  # class weights: others move the answer further, and levels at borders would take that back
# Shares: a class of half a percent is never found unless it counts for more, and not if the network's own answers count for much more.
# Beginning with the classes as frequent as they are finds it with more seeds.
_OF_SHARES: dict[str, Any] = {"class_weights": "rare", "self_labels": 1.0, "prior_bias": True}
_OF_GROUPS: dict[str, Any] = {"self_labels": 3.0}  # of which there are too few for that
_OF_THRESHOLD: dict[str, Any] = {"self_labels": 1.0}
_UNET_OF_PIXELS: dict[str, Any] = {"prior_bias": True}  # without, it never answers a class of half a percent; an fcn does
ANY_BELOW = 0.01  # a presence label of a smaller share is as good as one of any pixel


def recipe(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, put over what was measured best for the kind of label and the network.

    >>> recipe({"labels": "points"})["model"], recipe({"labels": "points"})["self_labels"]
    ('fcn', 3.0)
    >>> recipe({"labels": "shares", "model": "baseline"})
    {'model': 'baseline', 'labels': 'shares'}
    """
    labels = given.get("labels", "presence")
    model = given.get("model", "fcn")
    grouped = given.get("group_patches", 1) > 1 or given.get("areas")
    own = given.get("self_labels") != 0  # the rest of these settings is about own labels
    of_shares = {**_OF_SHARES, "border_spectra": own}
    leveled = given.get("class_weights", "none") in WITH_LEVELS
    of_points = _OF_POINTS | (_OF_OWN_POINTS | {"border_levels": leveled} if own else {})
    of_threshold = _OF_THRESHOLD | ({"unlabelled": "validation"} if own else {})
    wanted, of_presence = ("lse", _OF_ANY) if given.get("presence_min_share", 0.0) < ANY_BELOW else ("threshold", of_threshold)
    of_labels = {
        "points": of_points,
        "shares": _OF_GROUPS if grouped else of_shares,
        "presence": of_presence if given.get("loss", "best") in ("best", wanted) else {},
    }
    return {
        "model": model,
        **_OF_NETWORK.get(model, {}),
        **(of_labels.get(labels, {}) if model == "fcn" else {}),
        **(_UNET_OF_PIXELS if (model, labels) == ("unet", "pixels") else {}),
        **given,
    }
