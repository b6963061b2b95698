"""Settings that go together."""

from __future__ import annotations

import pytest

from cropcam.model.options import KINDS, MODELS
from cropcam.model.training.presets import measured_loss, preset, resolved
from cropcam.pipeline.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_label_has_possible_settings(kind: str, model: str) -> None:
    settings = resolved({"labels": kind, "model": model})
    assert (settings.labels, settings.model) == (kind, model)


def test_passed_settings_go_over_defaults() -> None:
    settings = resolved({"labels": "points", "lr": 0.5, "pseudo_label_weight": 0.0})
    assert (settings.lr, settings.pseudo_label_weight) == (0.5, 0.0)


def test_measured_defaults_go_with_the_measured_loss() -> None:
    assert resolved({"labels": "presence", "presence_min_share": 0.0}).class_weights == "balanced"
    assert resolved({"labels": "presence", "presence_min_share": 0.05}).class_weights == "none"
    assert resolved({"labels": "presence", "presence_min_share": 0.0, "loss": "threshold"}).class_weights == "none"
    assert resolved({"labels": "presence", "model": "unet"}).class_weights == "none"


def test_the_defaults_of_a_network_that_is_not_built_in_go_below_passed_settings() -> None:
    own = {"lr": 0.02, "schedule": "cosine", "class_weights": "balanced"}
    settings = resolved({"model": "own:Net", "labels": "points", "lr": 0.5}, own)
    assert (settings.lr, settings.schedule, settings.class_weights) == (0.5, "cosine", "balanced")
    assert resolved({"model": "own:Net", "labels": "shares"}, own).class_weights == "none", "it does not go with this kind of label"
    assert resolved({"model": "own:Net"}).lr == 1e-3


@pytest.mark.parametrize(
    ("settings", "loss"),
    [
        ({"labels": "presence", "presence_min_share": 0.05}, "threshold"),
        ({"labels": "presence", "presence_min_share": 0.0}, "lse"),
        ({"labels": "presence", "model": "resnet50"}, "bce"),
        ({"labels": "majority"}, "majority"),
        ({"labels": "shares"}, "shares"),
        ({"labels": "points"}, "cross-entropy"),
        ({"labels": "pixels", "model": "baseline"}, "cross-entropy"),
    ],
)
def test_each_kind_of_label_has_its_loss(settings: dict[str, object], loss: str) -> None:
    assert measured_loss(resolved(settings)) == loss


def test_the_poster_is_its_own_network_and_loss() -> None:
    settings = resolved(preset("poster", {}))
    assert (settings.model, settings.loss, settings.epochs, settings.schedule) == ("baseline", "bce", 16, "constant")
    with pytest.raises(ConfigError, match=r"no preset 'postr'; known: poster, paper"):
        preset("postr", {})


def test_the_paper_has_no_mechanism_of_later_years() -> None:
    settings = resolved(preset("paper", {"model": "fcn"}))
    assert (settings.pseudo_label_weight, settings.label_smoothing, settings.schedule, settings.epochs) == (0.0, 0.0, "constant", 50)
