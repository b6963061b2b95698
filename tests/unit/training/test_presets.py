"""Settings that go together."""

from __future__ import annotations

import pytest

from cropcam.model.labels.weak_labels import KINDS
from cropcam.model.networks import NETWORKS
from cropcam.model.training.presets import PRESETS, preset, recipe
from cropcam.model.training.settings import Settings
from cropcam.pipeline.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [None, *NETWORKS])
def test_every_kind_of_label_has_settings_that_are_possible(kind: str, model: str | None) -> None:
    given = {"labels": kind} | ({"model": model} if model else {})
    settings = Settings(**recipe(given))
    assert (settings.labels, settings.model) == (kind, model or "fcn")


def test_class_weights_go_with_kinds_of_label() -> None:
    with pytest.raises(
        ConfigError, match=r"--class-weights balanced goes with --labels presence or majority or points or pixels, not with shares"
    ):
        Settings(labels="shares", class_weights="balanced")
    with pytest.raises(ConfigError, match=r"--class-weights heavy is not possible; it must be one of none, balanced"):
        Settings(labels="shares", class_weights="heavy")


def test_weak_labels_are_helped_by_what_the_mean_of_the_weights_says() -> None:
    assert {kind: recipe({"labels": kind}).get("self_labels") for kind in KINDS} == {
        "presence": 3,
        "majority": None,
        "shares": 1,
        "points": 3,
        "pixels": None,
    }
    assert recipe({"labels": "presence", "presence_min_share": 0.05})["self_labels"] == 1
    assert "self_labels" not in recipe({"labels": "presence", "presence_min_share": 0.05, "loss": "bce"})
    assert "self_labels" not in recipe({"labels": "points", "model": "unet"})
    assert not any(recipe(preset(name, {"model": "fcn"})).get("self_labels") for name in PRESETS if name == "paper")
    for share, loss in ((0.05, "lse"), (0.0, "threshold")):
        assert "self_labels" not in recipe({"labels": "presence", "presence_min_share": share, "loss": loss})


def test_few_points_are_not_to_be_learned_by_heart() -> None:
    points, pixels = recipe({"labels": "points"}), recipe({"labels": "pixels"})
    assert points["label_smoothing"] == 0.1
    assert "label_smoothing" not in pixels
    assert points["weight_decay"] > pixels["weight_decay"]
    assert "label_smoothing" not in recipe({"labels": "points", "model": "unet"})


def test_what_is_given_stands() -> None:
    assert recipe({"labels": "presence", "lr": 0.5, "class_weights": "none"}) | {"lr": 0.5, "class_weights": "none"} == recipe(
        {"labels": "presence", "lr": 0.5, "class_weights": "none"}
    )


def test_labels_of_any_pixel_weigh_both_answers_alike() -> None:
    assert recipe({"labels": "presence", "presence_min_share": 0.0})["class_weights"] == "balanced"
    assert "class_weights" not in recipe({"labels": "presence", "presence_min_share": 0.05})
    assert "class_weights" not in recipe({"labels": "presence", "presence_min_share": 0.0, "loss": "bce"})


def test_the_poster_is_the_posters_own_network_and_loss() -> None:
    settings = Settings(**recipe(preset("poster", {})))
    assert (settings.model, settings.loss, settings.epochs, settings.schedule) == ("baseline", "bce", 16, "constant")
    with pytest.raises(ConfigError, match=r"no preset 'postr'; known: poster, paper"):
        preset("postr", {})
