"""Settings that go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.labels import KINDS
from model.networks import NETWORKS
from model.recipes import PRESETS, preset, recipe
from model.settings import Settings
from pipeline.errors import ConfigError


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", [None, *NETWORKS])
def test_every_kind_of_label_has_settings_that_are_possible(kind: str, model: str | None) -> None:
    given = {"labels": kind} | ({"model": model} if model else {})
    settings = Settings(**recipe(given))
    assert (settings.labels, settings.model) == (kind, model or "fcn")


def test_the_page_on_training_states_the_defaults() -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")
    table = page.split('"any pixel" is presence below 1 %:\n\n')[1].split("\n\n")[0].splitlines()
    rows = {line.split("|")[1].strip(" `-").replace("-", "_"): [cell.strip() for cell in line.split("|")[2:-1]] for line in table[2:]}
    columns: tuple[dict[str, str], ...] = (
        {"labels": "majority"},
        {"labels": "points"},
        {"labels": "presence"},
        {"labels": "pixels", "model": "unet"},
        {"labels": "pixels", "model": "baseline"},
    )
    for place, given in enumerate(columns):
        settings = Settings(**recipe(given))
        for name, cells in rows.items():
            value, stated = getattr(settings, name), cells[place].split(";")[0]
            if name == "self_labels" and place == 0:
                stated = cells[place].rsplit("else ")[-1]
            assert stated == (value if isinstance(value, str) else f"{value:g}"), (name, given)
    shares, present = recipe({"labels": "shares"}), recipe({"labels": "presence", "presence_min_share": 0.01})
    assert (shares["class_weights"], shares["self_labels"], present["self_labels"]) == ("rare", 1, 1)
    assert recipe({"labels": "shares", "group_patches": 8})["self_labels"] == 3


def test_class_weights_go_with_kinds_of_label() -> None:
    assert recipe({"labels": "shares"})["class_weights"] == "rare"
    for grouped in ({"group_patches": 8}, {"areas": "a.geojson"}):
        assert "class_weights" not in recipe({"labels": "shares", **grouped})
    with pytest.raises(
        ConfigError, match=r"--class-weights balanced goes with --labels presence or majority or points or pixels, not with shares"
    ):
        Settings(labels="shares", class_weights="balanced")
    with pytest.raises(
        ConfigError, match=r"--class-weights rare goes with --labels majority or shares or points or pixels, not with presence"
    ):
        Settings(labels="presence", class_weights="rare")
    with pytest.raises(ConfigError, match=r"--class-weights heavy is not possible; it must be one of none, balanced, rare, very-rare"):
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
        assert not {"self_labels", "symmetric"} & set(recipe({"labels": "presence", "presence_min_share": share, "loss": loss}))


def test_filters_are_symmetric_where_labels_say_least() -> None:
    assert recipe({"labels": "presence", "presence_min_share": 0.0})["symmetric"]
    assert not any(recipe({"labels": kind, "presence_min_share": 0.05}).get("symmetric") for kind in KINDS)
    assert "symmetric" not in recipe({"labels": "presence", "model": "unet"})
    assert recipe({"labels": "presence", "symmetric": False})["symmetric"] is False
    with pytest.raises(ConfigError, match=r"--symmetric goes with --model fcn, not with unet"):
        Settings(model="unet", symmetric=True)


def test_bands_are_decorrelated_but_for_the_posters_networks_and_the_presets() -> None:
    assert all(recipe({"labels": kind})["whiten"] for kind in KINDS)
    assert not any(recipe({"labels": "presence", "model": model}).get("whiten") for model in ("baseline", "resnet50"))
    assert not any(recipe(preset(name, {})).get("whiten") for name in PRESETS)
    assert recipe({"labels": "points", "whiten": False})["whiten"] is False


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


def test_what_begins_with_the_prior() -> None:
    assert recipe({"labels": "pixels", "model": "unet"})["prior_bias"]
    assert recipe({"labels": "pixels", "model": "unet", "prior_bias": False})["prior_bias"] is False
    assert not any(recipe({"labels": kind, "model": "unet"}).get("prior_bias") for kind in KINDS if kind != "pixels")
    assert recipe({"labels": "shares"})["prior_bias"]
    assert not any(recipe({"labels": kind}).get("prior_bias") for kind in KINDS if kind != "shares")
    assert "prior_bias" not in recipe({"labels": "shares", "group_patches": 2})
    assert recipe(preset("paper", {"labels": "pixels"}))["prior_bias"] is False
    with pytest.raises(ConfigError, match=r"--prior-bias goes with --labels majority or shares or points or pixels, not with presence"):
        Settings(labels="presence", prior_bias=True)


def test_images_of_the_validation_split_are_learned_from_where_own_labels_are() -> None:
    present = {"labels": "presence", "presence_min_share": 0.05}
    assert recipe(present)["unlabelled"] == "validation"
    assert {kind: recipe({"labels": kind}).get("unlabelled") for kind in KINDS} == dict.fromkeys(KINDS) | {"points": "auto"}
    assert "unlabelled" not in recipe({"labels": "points", "self_labels": 0.0})
    for without in ({"self_labels": 0.0}, {"model": "unet"}, {"loss": "lse"}):
        assert "unlabelled" not in recipe({**present, **without})
    for grouped in ({"group_patches": 8}, {"areas": "a.geojson"}):
        with pytest.raises(
            ConfigError, match=r"--unlabelled all does not go with --group-patches or --areas, where own labels are those of groups"
        ):
            Settings(labels="shares", self_labels=1.0, unlabelled="all", **grouped)  # type: ignore[arg-type]
    assert "unlabelled" not in recipe(preset("paper", {"model": "fcn"}))
    with pytest.raises(
        ConfigError,
        match=r"--unlabelled validation: only own labels learn from patches without a label: it goes with --self-labels above 0",
    ):
        Settings(labels="pixels", unlabelled="validation")
    with pytest.raises(ConfigError, match=r"--unlabelled test is not possible; it must be one of auto, none, validation, all"):
        Settings(labels="points", self_labels=1.0, unlabelled="test")


def test_borders_follow_spectra_for_shares_of_single_patches() -> None:
    assert recipe({"labels": "shares"})["border_spectra"]
    assert not recipe({"labels": "shares", "self_labels": 0.0})["border_spectra"]
    assert not any(recipe({"labels": kind}).get("border_spectra") for kind in KINDS if kind != "shares")
    assert not recipe({"labels": "shares", "group_patches": 2}).get("border_spectra")
    with pytest.raises(ConfigError, match=r"--border-spectra goes with --labels shares, not with points"):
        Settings(labels="points", self_labels=1.0, border_spectra=True)
    with pytest.raises(ConfigError, match=r"--border-spectra is about own labels: it goes with --self-labels above 0"):
        Settings(labels="shares", border_spectra=True)


def test_own_labels_of_points_have_levels_at_borders() -> None:
    assert [kind for kind in KINDS if recipe({"labels": kind}).get("border_levels")] == ["points"]
    assert [kind for kind in KINDS if recipe({"labels": kind}).get("class_weights") == "very-rare"] == ["points"]
    assert "class_weights" not in recipe({"labels": "points", "self_labels": 0.0})
    assert recipe({"labels": "points", "class_weights": "none"})["border_levels"]
    for without in ({"self_labels": 0.0}, {"model": "unet"}, {"class_weights": "balanced"}, preset("paper", {"model": "fcn"})):
        assert not recipe({"labels": "points", **without}).get("border_levels")
    with pytest.raises(ConfigError, match=r"--border-levels goes with --labels points, not with shares"):
        Settings(labels="shares", self_labels=1.0, border_levels=True)
    with pytest.raises(ConfigError, match=r"--border-levels is about own labels: it goes with --self-labels above 0"):
        Settings(labels="points", border_levels=True)
    with pytest.raises(
        ConfigError, match=r"--border-levels takes back what --class-weights rare does for rare classes; take --no-border-levels"
    ):
        Settings(labels="points", self_labels=1.0, border_levels=True, class_weights="rare")
