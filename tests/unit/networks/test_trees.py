"""Trees as a network: LightGBM's own scores, a state of text, one line where LightGBM is absent."""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import torch

from cropcam.model.networks import FittedNetwork, build
from cropcam.model.networks.trees import Trees
from cropcam.model.runs.checkpoint import load_weights
from cropcam.pipeline.errors import ConfigError, DataError


def pixels(count: int = 400, bands: int = 3) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Classes that follow from two bands, not linearly."""
    values = np.random.default_rng(0).normal(size=(count, bands)).astype(np.float32)
    return values, (2 * (values[:, 0] > 0) ^ (values[:, 1] > 0)).astype(np.uint8)


def fitted(options: str = "trees=5", **more: Any) -> Trees:
    network = build("trees", 3, 4, options)
    assert isinstance(network, Trees)
    assert network.fit(*pixels(**more), seed=3, proceed=lambda *_: True)
    return network.eval()


def text(network: Trees) -> str:
    return network.model.numpy().tobytes().decode()


def test_the_maps_are_the_scores_of_the_text_read_by_lightgbm() -> None:
    network = fitted()
    x_BCHW = torch.randn(2, 3, 5, 6)
    values = x_BCHW.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    expected = lightgbm.Booster(model_str=text(network)).predict(values, raw_score=True).reshape(2, 5, 6, 4)
    maps_BKHW = network.maps(x_BCHW)
    np.testing.assert_array_equal(maps_BKHW.permute(0, 2, 3, 1).numpy(), expected.astype(np.float32))
    np.testing.assert_array_equal(network.dense(maps_BKHW.movedim(1, -1)).numpy(), expected.astype(np.float32))
    values, classes = pixels(200)
    logits_PK = network.score(torch.from_numpy(values))
    assert (logits_PK.argmax(dim=1).numpy() == classes).mean() > 0.95


def test_the_same_pixels_give_the_same_bytes() -> None:
    assert text(fitted()) == text(fitted())
    assert text(fitted()) != text(fitted("trees=6"))


def test_its_state_has_any_size_and_is_read_back() -> None:
    network, other = fitted(), build("trees", 3, 4)
    x_BCHW = torch.randn(1, 3, 4, 4)
    assert not other.maps(x_BCHW).any(), "before the fit all scores are 0"
    load_weights(other, network.state_dict(), path=None)  # type: ignore[arg-type]
    torch.testing.assert_close(other.maps(x_BCHW), network.maps(x_BCHW), rtol=0, atol=0)
    load_weights(other, fitted("trees=2").state_dict(), path=None)  # type: ignore[arg-type]
    assert not torch.equal(other.maps(x_BCHW), network.maps(x_BCHW)), "the model before is forgotten"


def test_a_state_without_the_model_is_refused() -> None:
    state = fitted().state_dict()
    del state["model"]
    with pytest.raises(DataError, match="model is absent, expected of any shape"):
        load_weights(build("trees", 3, 4), state, path="F")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: state["model"][:50].zero_(), "the trees of the checkpoint are damaged"),
        (lambda state: state.update(model=torch.full((9,), 255, dtype=torch.uint8)), "the trees of the checkpoint are damaged"),
        (lambda state: state.update(model=other_trees()), "are of 2 values and 4 classes, the run has 3 and 4"),
    ],
)
def test_a_damaged_model_is_one_line(change: Callable[[dict[str, Any]], Any], match: str) -> None:
    network, state = build("trees", 3, 4), {key: value.clone() for key, value in fitted().state_dict().items()}
    change(state)
    load_weights(network, state, path=None)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=match) as caught:
        network.maps(torch.zeros(1, 3, 2, 2))
    assert "\n" not in str(caught.value)


def other_trees() -> torch.Tensor:
    network = build("trees", 2, 4, "trees=1")
    assert isinstance(network, Trees)
    network.fit(*pixels(bands=2), seed=0, proceed=lambda *_: True)
    return network.model


def test_a_missing_neighbour_is_no_value() -> None:
    """Where a value says the class and 0 stands for missing, missing values go their own way."""
    values = np.repeat(np.array([-1.0, 0.0, 1.0], np.float32), 100)[:, None]
    network = build("trees", 1, 3, "trees=20")
    assert isinstance(network, Trees)
    assert network.fit(values, np.repeat(np.array([0, 2, 0], np.uint8), 100), seed=0, proceed=lambda *_: True)
    chosen = network.score(torch.tensor([[-1.0], [0.0], [1.0], [0.01]])).argmax(dim=1)
    assert chosen.tolist() == [0, 2, 0, 0]


def test_pixels_of_weight_0_do_not_count() -> None:
    values, classes = pixels()
    wrong = np.where(np.arange(len(classes)) % 2, classes, 3 - classes).astype(np.uint8)
    network = build("trees", 3, 4, "trees=5")
    assert isinstance(network, Trees)
    assert network.fit(values, wrong, 0, lambda *_: True, (np.arange(len(classes)) % 2).astype(np.float32))
    assert (network.score(torch.from_numpy(values)).argmax(dim=1).numpy() == classes).mean() > 0.9


def test_a_stopped_fit_changes_nothing() -> None:
    network, seen = build("trees", 3, 4, "trees=9"), []
    assert isinstance(network, FittedNetwork)

    def proceed(done: int, steps: int) -> bool:
        seen.append((done, steps))
        return done < 3

    assert not network.fit(*pixels(), seed=0, proceed=proceed)
    assert seen == [(1, 9), (2, 9), (3, 9)]
    assert not len(network.state_dict()["model"])


@pytest.mark.parametrize(("options", "match"), [("trees=0", "trees=0: must be at least 1"), ("pixels=-1", "pixels=-1: must be at least 1")])
def test_numbers_below_1_are_refused(options: str, match: str) -> None:
    with pytest.raises(ConfigError, match=f"^--model-options {match}"):
        build("trees", 3, 4, options)


def test_without_lightgbm_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    line = r"^--model trees needs lightgbm; install with: pip install 'cropcam\[trees\]', or take --model linear$"
    with pytest.raises(ConfigError, match=line):
        build("trees", 3, 4)


def test_a_library_of_the_system_that_lacks_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    known = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name == "lightgbm":
            raise OSError("libgomp.so.1: cannot open shared object file")
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ConfigError, match=r"cannot be loaded \(libgomp.so.1: .*\); install the system's OpenMP library") as caught:
        build("trees", 3, 4)
    assert "\n" not in str(caught.value)
