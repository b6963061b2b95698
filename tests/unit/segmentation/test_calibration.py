"""Temperatures: recovered from each kind of label, whatever the class decisions; few labels, none, bags, weights of classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from cropcam.model.labels.weak_labels import WeakLabels
from cropcam.model.runs.checkpoint import load_network
from cropcam.model.segmentation import calibration
from cropcam.model.segmentation.calibration import HIGHEST, LOWEST, POOLED, calibrated, fitted_temperature, sample
from cropcam.model.segmentation.methods import Method, unfitted
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.runs import make_run

CPU = torch.device("cpu")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 4.0])
def test_the_temperature_of_drawn_labels_is_found(temperature: float) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn((5000, 4), generator=generator) * 2
    truth = torch.multinomial(logits.softmax(dim=1), 1, generator=generator)[:, 0]
    found = fitted_temperature(lambda t: F.cross_entropy(logits * temperature / t, truth), 2000)
    assert found == pytest.approx(temperature, rel=0.1)
    grid = np.geomspace(0.3, 6, 300)
    losses = [float(F.cross_entropy(logits * temperature / t, truth)) + np.log(t) ** 2 / 4000 for t in grid]
    assert found == pytest.approx(grid[int(np.argmin(losses))], rel=0.011)


def test_few_labels_stay_near_one_and_certainty_within_bounds() -> None:
    logits = torch.tensor([[4.0, 0.0], [3.0, 0.0]])
    wrong, right = torch.tensor([1, 1]), torch.tensor([0, 0])
    assert 1 < fitted_temperature(lambda t: F.cross_entropy(logits / t, wrong), 2) < 6
    assert 0.4 < fitted_temperature(lambda t: F.cross_entropy(logits / t, right), 2) < 1
    assert fitted_temperature(lambda t: F.cross_entropy(100 * logits / t, wrong), 10**6) == HIGHEST
    assert fitted_temperature(lambda t: F.cross_entropy(0.001 * logits / t, right), 10**6) == LOWEST


def test_a_fit_within_inference_mode_is_the_same() -> None:
    logits, truth = torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1])
    outside = fitted_temperature(lambda t: F.cross_entropy(logits / t, truth), 2)
    with torch.inference_mode():
        assert fitted_temperature(lambda t: F.cross_entropy(logits / t, truth), 2) == outside


@pytest.mark.parametrize(
    ("model", "labels", "more"),
    [
        ("fcn", "shares", {"loss": "shares"}),
        ("fcn", "shares", {"loss": "shares", "bag_size": 2}),
        ("fcn", "points", {"loss": "cross-entropy"}),
        ("unet", "pixels", {"loss": "cross-entropy"}),
        ("fcn", "presence", {"loss": "threshold"}),
        ("fcn", "presence", {"loss": "lse"}),
        ("baseline", "presence", {"loss": "bce"}),
    ],
)
def test_every_kind_of_label_gives_every_method_a_temperature_and_no_other_class(
    tmp_path: Path, store: Path, info: StoreInfo, model: str, labels: str, more: dict[str, object]
) -> None:
    make_run(tmp_path / "run", store, info, model=model, labels=labels, **more)
    network, config = load_network(tmp_path / "run", CPU)
    methods = unfitted(network.dense.bias.tolist())
    found, words = calibrated(methods, network, config, open_store(store), CPU)
    assert words.startswith("fitted to ")
    cams = torch.randn((2, 5, 6, 6), generator=torch.Generator().manual_seed(1))
    for name, method in found.items():
        assert replace(method, temperature=1.0) == methods[name]
        assert method.temperature != 1.0
        assert LOWEST <= method.temperature <= POOLED * HIGHEST
        nothing = torch.full((2, 1, 6, 6), torch.nan), torch.ones((2, 6, 6), dtype=torch.bool)
        assert torch.equal(method(cams, *nothing), methods[name](cams, *nothing))
        torch.testing.assert_close(method.logits(cams, *nothing) * method.temperature, method.uncalibrated(cams, *nothing))
    assert calibrated(methods, network, config, open_store(store), CPU) == (found, words), "the same again"


@pytest.mark.parametrize("settings", [{"labels": "majority", "loss": "majority"}, {"loss": "lse", "presence_min_share": 0.0}])
def test_labels_that_do_not_show_it_give_every_run_one_temperature(
    tmp_path: Path, store: Path, info: StoreInfo, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "run", store, info, model="fcn", **settings)
    network, config = load_network(tmp_path / "run", CPU)
    monkeypatch.delattr(PatchStore, "images")  # nothing is read
    found, words = calibrated(unfitted(network.dense.bias.tolist()), network, config, open_store(store), CPU)
    assert {method.temperature for method in found.values()} == {POOLED}
    assert words.startswith("the same for all runs: labels of ")


def test_patches_hide_mistakes_and_pixels_do_not(tmp_path: Path, store: Path, info: StoreInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The likeliest temperature is multiplied for labels of patches alone."""
    for labels, loss, factor in (("shares", "shares", 2.0), ("pixels", "cross-entropy", 1.0)):
        found = []
        for pooled in (1.0, 2.0):
            monkeypatch.setattr(calibration, "POOLED", pooled)
            make_run(tmp_path / "run", store, info, model="fcn", labels=labels, loss=loss)
            network, config = load_network(tmp_path / "run", CPU)
            methods, _ = calibrated(unfitted(network.dense.bias.tolist()), network, config, open_store(store), CPU)
            found.append(methods["score-argmax"].temperature)
        assert found[1] == pytest.approx(factor * found[0], abs=2e-4)


def test_twice_the_logits_get_twice_the_temperature(tmp_path: Path, store: Path, info: StoreInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The softmax of both is the same; the prior alone tells them apart."""
    monkeypatch.setattr(calibration, "PRIOR_SD", 100.0)
    make_run(tmp_path / "run", store, info, model="fcn", labels="pixels", loss="cross-entropy")
    network, config = load_network(tmp_path / "run", CPU)
    once = Method("once", (1.0,) * 5, (0.0,) * 5)
    twice = Method("twice", (2.0,) * 5, (0.0,) * 5)
    found, _ = calibrated({"once": once, "twice": twice}, network, config, open_store(store), CPU)
    assert found["twice"].temperature == pytest.approx(2 * found["once"].temperature, rel=0.01)


def test_without_labels_the_temperature_is_one_and_the_reason_is_kept(
    tmp_path: Path, store: Path, info: StoreInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run(tmp_path / "run", store, info, model="fcn", labels="points", loss="cross-entropy", points=str(tmp_path / "gone.csv"))
    network, config = load_network(tmp_path / "run", CPU)
    methods = unfitted(network.dense.bias.tolist())
    found, words = calibrated(methods, network, config, open_store(store), CPU)
    assert found == methods
    assert words.startswith("not fitted: ")
    assert "gone.csv" in words
    (tmp_path / "far.csv").write_text("lon,lat,class\n0,0,corn\n")
    make_run(tmp_path / "run", store, info, model="fcn", labels="points", loss="cross-entropy", points=str(tmp_path / "far.csv"))
    config = load_network(tmp_path / "run", CPU)[1]
    assert calibrated(methods, network, config, open_store(store), CPU) == (methods, "not fitted: the validation split has no label")
    monkeypatch.setattr(PatchStore, "has_patches", lambda _store, split: split != "validation")
    assert calibrated(methods, network, config, open_store(store), CPU) == (methods, "not fitted: the validation split is empty")


def test_the_sample_has_labelled_patches_alone_and_whole_bags(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MOST_PIXELS", 1000)
    share = np.tile(np.float32([0.4, 0.6]), (40, 1))
    share[::2] = np.nan
    found = sample(WeakLabels("shares", image_NK=share), 10)
    assert len(found) == 10
    assert (found % 2 == 1).all()
    share[:] = 0.5
    bags = np.repeat(np.arange(10), 4)
    kept = bags[sample(WeakLabels("shares", image_NK=share, bag_N=bags), 10)]
    assert np.unique(kept, return_counts=True)[1].tolist() == [4, 4]
    assert len(sample(WeakLabels("shares", image_NK=share, bag_N=np.zeros(40, np.int64)), 10)) == 10
    points = np.full((40, 2, 2), 255, np.uint8)
    points[5:, 1, 1] = 3
    assert sample(WeakLabels("points", pixel_NHW=points), 1000).tolist() == list(range(5, 40))
