"""Levels at borders: against another minimiser, the laws they must keep, and that no truth is read beyond what a label says."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import zarr
from scipy.optimize import minimize
from torch import Tensor

from cli import main
from fixtures import make_store
from model import fitting
from model.checkpoint import LAST, load_network, load_tensors, save_tensors
from model.data import read_labels
from model.evaluate import evaluate
from model.fitting import fitted_segmenter
from model.levels import LEAST, Answers, border_levels, in_one_row
from model.losses import OBJECTIVES, Targets
from model.report.content import cautions, method_rows
from model.segment import BORDER_LEVELS, Method, Segmenter, unfitted
from model.settings import configure
from model.train import train
from pipeline.errors import DataError
from pipeline.legend import UNLABELLED
from pipeline.store import open_store, split_indices

CLASSES = 3


def said(scores: Tensor, border: Tensor, **labels: Tensor) -> Answers:
    valid = torch.ones(border.shape, dtype=torch.bool)
    return Answers(scores, border, Targets(valid, **labels))


def fields(seed: int, patches: int = 12, size: int = 10) -> tuple[Tensor, Tensor, npt.NDArray[np.int64]]:
    """Scores that at borders are short of what is true by a level per class, borders, and a class drawn for every pixel by the true scores."""
    rng = np.random.default_rng(seed)
    scores, border = rng.normal(0, 1, (patches, CLASSES, size, size)), rng.random((patches, size, size)) < 0.5
    true = scores + np.array([1.5, 0.0, -1.5])[:, None, None] * border[:, None]
    drawn = (true + rng.gumbel(size=true.shape)).argmax(axis=1)
    return torch.from_numpy(scores).float(), torch.from_numpy(border), drawn


def shares(drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return np.stack([(drawn == k).mean(axis=(1, 2)) for k in range(CLASSES)], axis=1).astype(np.float32)


def levels(scores: Tensor, border: Tensor, name: str, min_share: float = 0.0, **labels: Any) -> tuple[float, ...]:
    """In two batches, as they come."""
    targets = {key: torch.from_numpy(values) for key, values in labels.items()}
    parts = [
        said(scores[part], border[part], **{key: each[part] for key, each in targets.items()}) for part in (slice(0, 7), slice(7, None))
    ]
    found = border_levels(parts, OBJECTIVES[name], min_share, CLASSES)
    assert found is not None
    return found


def points(drawn: npt.NDArray[np.int64], share: float) -> npt.NDArray[np.uint8]:
    return np.where(np.random.default_rng(1).random(drawn.shape) < share, drawn, UNLABELLED).astype(np.uint8)


@pytest.mark.parametrize("share", [1.0, 0.05])
def test_points_agree_with_another_minimiser(share: float) -> None:
    scores, border, drawn = fields(0)
    label = points(drawn, share)
    of_points, at_border = np.moveaxis(scores.numpy(), 1, -1)[label != UNLABELLED].astype(np.float64), border.numpy()[label != UNLABELLED]
    true = label[label != UNLABELLED]

    def cost(level: npt.NDArray[np.float64]) -> float:
        moved = of_points + level * at_border[:, None]
        log = moved - np.log(np.exp(moved).sum(axis=1, keepdims=True))
        return float(-log[np.arange(len(true)), true].sum() + 1.0 * (level**2).sum())

    wanted = minimize(cost, np.zeros(CLASSES)).x
    np.testing.assert_allclose(levels(scores, border, "cross-entropy", pixel_BHW=label), wanted, atol=5e-3)


def test_shares_agree_with_another_minimiser() -> None:
    scores, border, drawn = fields(1, patches=40)
    share, plain = shares(drawn).astype(np.float64), scores.numpy().astype(np.float64)

    def cost(level: npt.NDArray[np.float64]) -> float:
        moved = plain + level[:, None, None] * border.numpy()[:, None]
        mean = (np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True)).mean(axis=(2, 3))
        return float((share * np.log(np.maximum(share, 1e-12) / mean)).sum() + 1.0 * (level**2).sum())

    np.testing.assert_allclose(levels(scores, border, "shares", image_BK=shares(drawn)), minimize(cost, np.zeros(CLASSES)).x, atol=5e-3)


def test_presence_agrees_with_another_minimiser() -> None:
    scores, border, drawn = fields(2, patches=40)
    label, plain = (shares(drawn) > 0.25).astype(np.float32), scores.numpy().astype(np.float64)

    def cost(level: npt.NDArray[np.float64]) -> float:
        moved = plain + level[:, None, None] * border.numpy()[:, None]
        mean = (np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True)).mean(axis=(2, 3))
        sure = 20.0 * (np.log(mean / (1 - mean)) - np.log(0.25 / 0.75))
        entropy = np.logaddexp(0, sure) - label * sure
        return float(entropy.mean(axis=1).sum() + 3.0 * (level**2).sum())

    np.testing.assert_allclose(levels(scores, border, "threshold", 0.25, image_BK=label), minimize(cost, np.zeros(CLASSES)).x, atol=1e-2)


def test_what_scores_are_short_of_is_found_and_few_labels_say_less() -> None:
    scores, border, drawn = fields(3, patches=60)
    many, few = (np.array(levels(scores, border, "cross-entropy", pixel_BHW=points(drawn, share))) for share in (1.0, 0.01))
    np.testing.assert_allclose(many - many.mean(), [1.5, 0.0, -1.5], atol=0.15)
    assert np.abs(few).sum() < np.abs(many).sum()
    corrected = scores + torch.tensor(many, dtype=torch.float32)[:, None, None] * border[:, None]
    assert (corrected.argmax(dim=1).numpy() == drawn).mean() > (scores.argmax(dim=1).numpy() == drawn).mean() + 0.03


def test_labels_away_from_borders_say_nothing_and_no_label_at_all_is_none() -> None:
    scores, border, drawn = fields(4)
    inside = np.where(border.numpy(), UNLABELLED, drawn).astype(np.uint8)
    assert np.abs(levels(scores, border, "cross-entropy", pixel_BHW=inside)).max() < 1e-6
    nothing = said(scores, border, pixel_BHW=torch.full(border.shape, UNLABELLED, dtype=torch.uint8))
    assert border_levels([nothing], OBJECTIVES["cross-entropy"], 0.0, CLASSES) is None
    unknown = torch.full((len(scores), CLASSES), torch.nan)
    assert border_levels([said(scores, border, image_BK=unknown)], OBJECTIVES["shares"], 0.0, CLASSES) is None


def test_the_pixels_without_a_label_make_no_difference() -> None:
    scores, border, drawn = fields(6)
    whole = said(scores, border, pixel_BHW=torch.from_numpy(points(drawn, 0.1)))
    row = whole.of_labelled_pixels()
    assert row.scores_BKHW.shape == (1, CLASSES, 1, int(whole.targets.answers()))
    both = [border_levels([each], OBJECTIVES["cross-entropy"], 0.0, CLASSES) for each in (whole, row)]
    assert both[0] == pytest.approx(both[1], abs=1e-3)


def test_rows_are_one_row_and_a_stronger_prior_says_less() -> None:
    scores, border, drawn = fields(8)
    label = torch.from_numpy(points(drawn, 0.1))
    rows = [
        said(scores[part], border[part], pixel_BHW=label[part]).of_labelled_pixels() for part in (slice(0, 5), slice(5, 5), slice(5, None))
    ]
    objective = OBJECTIVES["cross-entropy"]
    joined, apart = (border_levels(parts, objective, 0.0, CLASSES) for parts in ([in_one_row(rows)], rows))
    assert joined == pytest.approx(apart, abs=1e-3)
    held = border_levels(rows, objective, 0.0, CLASSES, prior=10.0)
    assert held is not None
    assert apart is not None
    assert 0.01 < np.abs(held).max() < np.abs(apart).max()


def test_a_class_that_next_to_no_label_names_is_left_where_it_is() -> None:
    """A few blocks may lack a class that other places have: it has the mean of the others' levels, so that it is neither raised nor lowered as a whole."""
    scores, border, drawn = fields(7, patches=30)
    drawn = np.where(drawn == 2, 1, drawn)
    for label in (points(drawn, 0.1), points(np.where(np.arange(drawn.size).reshape(drawn.shape) < LEAST - 1, 2, drawn), 1.0)):
        found = levels(scores, border, "cross-entropy", pixel_BHW=label)
        assert found[2] == pytest.approx(np.mean(found[:2]), abs=1e-5)
        assert found[0] > found[1] + 0.1
    of_shares = levels(scores, border, "shares", image_BK=shares(drawn))
    assert of_shares[2] == pytest.approx(np.mean(of_shares[:2]), abs=1e-5)
    seen = points(np.where(np.arange(drawn.size).reshape(drawn.shape) < 400, 2, drawn), 1.0)
    assert levels(scores, border, "cross-entropy", pixel_BHW=seen)[2] < -0.5, "many labels name it: what they say counts"


def test_a_class_that_counts_for_more_is_left_where_it_is() -> None:
    scores, border, drawn = fields(9, patches=30)
    answers, objective = [said(scores, border, pixel_BHW=torch.from_numpy(points(drawn, 0.3)))], OBJECTIVES["cross-entropy"]
    weighed = border_levels(answers, objective, 0.0, CLASSES, weight_K=torch.tensor([1.0, 1.0, 4.0]))
    free = border_levels(answers, objective, 0.0, CLASSES, weight_K=torch.ones(CLASSES))
    assert weighed is not None
    assert free is not None
    assert free == border_levels(answers, objective, 0.0, CLASSES)
    assert weighed[2] == pytest.approx(np.mean(weighed[:2]), abs=1e-5)
    assert free[2] < np.mean(free[:2]) - 0.5


def test_a_patch_without_a_label_is_passed_over() -> None:
    scores, border, drawn = fields(5)
    some = np.where(np.arange(len(drawn))[:, None] % 2, shares(drawn), np.nan).astype(np.float32)
    some[:7] = np.nan  # a batch without any
    alone = said(scores[7::2], border[7::2], image_BK=torch.from_numpy(shares(drawn)[7::2]))
    found = border_levels([alone], OBJECTIVES["shares"], 0.0, CLASSES)
    assert found == pytest.approx(levels(scores, border, "shares", image_BK=some), abs=1e-4)


def test_levels_are_added_at_borders_alone() -> None:
    torch.manual_seed(0)
    cams = torch.randn(2, CLASSES, 8, 8)
    x, valid = torch.zeros(2, 1, 8, 8), torch.ones(2, 8, 8, dtype=torch.bool)
    cams[0] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]  # one class: no border
    plain = Method("score-argmax", (1.0,) * 3, (0.5, 0.0, 0.0))
    moved = Method(BORDER_LEVELS, plain.scale_K, plain.offset_K, level_K=(0.0, 2.0, -1.0)).scores(cams, x, valid) - plain.scores(
        cams, x, valid
    )
    assert not moved[0].any()
    label = np.pad(plain.scores(cams, x, valid).argmax(dim=1)[1].numpy(), 1, mode="edge")
    for y, z in np.ndindex(8, 8):
        meets = len(np.unique(label[y : y + 3, z : z + 3])) > 1
        assert moved[1, :, y, z].tolist() == pytest.approx([0.0, 2.0, -1.0] if meets else [0.0] * 3, abs=1e-5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "patches.zarr"
    make_store(path, count=PATCHES, size_px=12)
    return path


PATCHES = 160
KINDS = (
    {"labels": "points", "points_per_patch": 3},
    {"labels": "shares"},
    {"labels": "presence", "presence_min_share": 0.25},
    {"labels": "majority"},
)


def changed(path: Path, split: str, change: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]) -> Path:
    """A copy of the store in which the labels of a split are others, and the shares with them."""
    info = make_store(path, count=PATCHES, size_px=12)
    dataset, _ = open_store(path)
    index_N, label_NHW = split_indices(dataset, split), dataset["label"].to_numpy()
    label_NHW[index_N] = change(label_NHW[index_N])
    group = zarr.open_group(path, mode="r+")
    group["label"][:] = label_NHW
    classes = info.classes.index(label_NHW)
    counts_NK = np.stack([(classes == k).sum(axis=(1, 2)) for k in range(len(info.classes))], axis=1)
    group["share"][:] = counts_NK / np.maximum(counts_NK.sum(axis=1, keepdims=True), 1)
    return path


def exchanged(label_NHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The commonest code for the second, and the other way round."""
    codes, counts = np.unique(label_NHW[label_NHW > 0], return_counts=True)
    first, second = codes[np.argsort(-counts)[:2]]
    return np.where(label_NHW == first, second, np.where(label_NHW == second, first, label_NHW)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind["labels"])
def test_a_run_takes_levels_from_validations_labels_and_from_no_truth(store: Path, tmp_path: Path, kind: dict[str, Any]) -> None:
    """Labels of validation that say otherwise: other levels. Truth that the kind of label does not tell, and the labels of other splits: the same."""
    run, device = tmp_path / "run", torch.device("cpu")
    config = train(store, run, model="fcn", epochs=2, seed=3, **kind)
    network, _ = load_network(run, device)

    def fitted(path: Path) -> Segmenter:
        (run / "segment.json").unlink()
        return fitted_segmenter(run, network, config, open_store(path)[0], device)

    found = fitted(store)
    assert found.default == BORDER_LEVELS
    assert np.abs(found.method.level_K).max() > 0.02
    assert found.method.mean_KC == (() if kind["labels"] == "shares" else found.methods["border-spectra"].mean_KC), (
        "shares were learned with spectra"
    )
    assert not found.method.oracle
    assert (
        np.abs(
            np.subtract(fitted(changed(tmp_path / "exchanged.zarr", "validation", exchanged)).method.level_K, found.method.level_K)
        ).max()
        > 0.02
    )
    for split in ("train", "test"):
        assert fitted(changed(tmp_path / f"{split}.zarr", split, exchanged)).method.level_K == found.method.level_K

    dataset, _ = open_store(store)
    told = read_labels(dataset, split_indices(dataset, "validation"), config.rule, config.classes)

    def hidden(label_NHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        if told.pixel_NHW is None:  # where in a patch a class lies
            return label_NHW[:, ::-1]
        return np.where(
            (told.pixel_NHW == UNLABELLED) & (label_NHW > 0), label_NHW[label_NHW > 0][0], label_NHW
        )  # no gap: it would change which are drawn

    assert fitted(changed(tmp_path / "hidden.zarr", "validation", hidden)).method == found.method


def test_own_labels_take_levels_from_validations_points_and_from_no_truth(store: Path, tmp_path: Path) -> None:
    """Of validation's truth its points alone reach the weights, and only with `border_levels`; of test's nothing does."""
    told: dict[str, Any] = {"labels": "points", "points_per_patch": 3, "model": "fcn", "epochs": 4, "seed": 3, "lr": 0.03}

    def weights(path: Path, **more: bool) -> bytes:
        run = tmp_path / f"run {path.name} {more}"
        train(path, run, device="cpu", **told, **more)
        return (run / "best.safetensors").read_bytes()

    dataset, info = open_store(store)
    index_N = split_indices(dataset, "validation")
    pixel_NHW = read_labels(dataset, index_N, configure(store, info, tmp_path, told, resume=False).rule, info.classes).pixel_NHW
    assert pixel_NHW is not None

    def hidden(label_NHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        return np.where((pixel_NHW == UNLABELLED) & (label_NHW > 0), label_NHW[label_NHW > 0][0], label_NHW)

    ours, other = weights(store), changed(tmp_path / "validation.zarr", "validation", exchanged)
    assert weights(other) != ours
    assert weights(other, border_levels=False) == weights(store, border_levels=False) != ours
    for name, path in {
        "hidden": changed(tmp_path / "hidden.zarr", "validation", hidden),
        "test": changed(tmp_path / "test.zarr", "test", exchanged),
    }.items():
        assert weights(path) == ours, name


def test_levels_of_own_labels_are_kept_with_the_run(store: Path, tmp_path: Path) -> None:
    """In `last`, from the epoch before own labels begin; damaged ones are refused."""
    run, told = tmp_path / "run", {"labels": "points", "points_per_patch": 3, "model": "fcn", "lr": 0.03, "device": "cpu"}
    lines: list[str] = []
    config = train(store, run, epochs=2, log=lines.append, **told)
    assert (
        "own labels are mended at borders by a level per class, from validation's 96 labelled pixels (--border-levels): its figures flatter"
        in lines
    )
    tensors, made_by = load_tensors(run / LAST)
    level_K = json.loads(made_by["levels"])
    assert len(level_K) == len(config.classes)
    assert np.abs(level_K).max() > 0.01
    for damaged, match in (
        ("[1.0]", r"its levels at borders are not one finite number for each of 5"),
        ("[NaN, 0, 0, 0, 0]", r"its levels at borders are not one finite number"),
        ("[[1]]", r"does not say how far its epoch had come"),
    ):
        save_tensors(run / LAST, tensors, made_by | {"levels": damaged})
        with pytest.raises(DataError, match=match):
            train(store, run, epochs=3, resume=True, **told)
    train(store, tmp_path / "plain", epochs=2, border_levels=False, **told)
    assert "levels" not in load_tensors(tmp_path / "plain" / LAST)[1]


def test_a_run_whose_method_has_no_levels_but_its_own_labels_says_so(store: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(store, run, epochs=2, labels="points", model="unet", self_labels=2.0, border_levels=True, device="cpu")
    assert "- own labels with a level per class at borders, from the points of the validation split" in (run / "README.md").read_text()
    for split in ("validation", "test"):
        found = evaluate(run, split=split)
        assert found["segmentation"]["default"] == "score-argmax"
        assert found["made_by"]["fitted_on_labels"] is (split == "validation")
        assert {row["learnt_from"] for row in method_rows(found) if not row["name"].startswith(("oracle", "all "))} == {
            "points, 1 per patch, validation's too"
        }


def test_own_points_count_wherever_in_validation_they_lie(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches with a label are looked for before some are chosen evenly."""
    run, device = tmp_path / "run", torch.device("cpu")
    config = train(store, run, labels="points", model="fcn", epochs=1)
    network, _ = load_network(run, device)
    dataset, _ = open_store(store)
    monkeypatch.setattr(fitting, "SAMPLE_PATCHES", 2)
    whole = read_labels(dataset, split_indices(dataset, "validation"), config.rule, config.classes)
    pixel_NHW = np.full_like(whole.pixel_NHW, UNLABELLED)  # type: ignore[arg-type]
    pixel_NHW[2] = whole.pixel_NHW[2]  # type: ignore[index]
    monkeypatch.setattr(fitting, "read_labels", lambda *_: replace(whole, pixel_NHW=pixel_NHW))
    (said_of_one,) = fitting.held_out(network, config, dataset, device, unfitted([0.0] * len(config.classes))["score-argmax"])
    assert said_of_one.targets.answers() == 1


@pytest.mark.parametrize(
    ("settings", "default"),
    [
        ({"labels": "pixels"}, "score-argmax"),
        ({"labels": "shares", "group_patches": 2}, "border-spectra"),
        ({"labels": "presence", "presence_min_share": 0.0}, "border-spectra"),
        ({"labels": "presence", "presence_min_share": 0.25, "model": "baseline"}, "cam-argmax"),
        ({"labels": "points", "class_weights": "balanced"}, "score-argmax"),
        ({"labels": "points", "class_weights": "rare"}, "score-argmax"),
    ],
)
def test_where_no_level_is_fitted(store: Path, tmp_path: Path, settings: dict[str, Any], default: str) -> None:
    train(store, tmp_path / "run", epochs=1, **settings)
    found = evaluate(tmp_path / "run", split="validation")
    assert found["segmentation"]["default"] == default
    assert BORDER_LEVELS not in found["segmentation"]["methods"]
    assert found["made_by"]["fitted_on_labels"] is False


@pytest.mark.parametrize(("kind", "default"), [("points", "score-argmax"), ("shares", "border-spectra")])
def test_other_networks_show_levels_and_keep_what_they_had(store: Path, tmp_path: Path, kind: str, default: str) -> None:
    train(store, tmp_path / "run", epochs=1, labels=kind, model="unet")
    found = evaluate(tmp_path / "run")["segmentation"]
    assert (found["default"], BORDER_LEVELS in found["methods"]) == (default, True)


def test_figures_of_the_split_that_levels_were_fitted_on_say_so(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, sentence = tmp_path / "run", "The run has a level per class that was fitted on weak labels of the validation split"
    train(store, run, epochs=1, labels="shares", model="fcn")
    assert "- own labels with a level per class" not in (run / "README.md").read_text()
    assert "- its segmentation has a level per class at borders, from the labels of the validation split" in (run / "README.md").read_text()
    found = evaluate(run)
    assert found["made_by"]["fitted_on_labels"] is False
    assert sentence not in (run / "README.md").read_text()
    (ours,) = (row for row in method_rows(found) if row["name"] == BORDER_LEVELS)
    assert (ours["learnt_from"], ours["is_default"]) == ("shares, validation's too", True)
    assert main(["evaluate", str(run), "--split", "validation"]) == 0
    assert f"note: {sentence}" in capsys.readouterr().err
    assert f"- {sentence}" in (run / "README.md").read_text()
    found = json.loads((run / "metrics.json").read_text())
    assert found["made_by"]["fitted_on_labels"] is True
    assert cautions(found, None)[0].startswith(sentence)
