"""Patches without a label beside the labelled ones: which come, how often, and that nothing of their labels is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import zarr
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fixtures import make_store
from model import unlabelled as unlabelled_module
from model.checkpoint import load_config, write_json
from model.data import Patches, batches, read_split
from model.history import read
from model.labels import UNLABELLED_SPLITS, WeakLabels
from model.losses import Targets
from model.plan import Plan, plan_epoch, plan_passes
from model.ranks import ALONE, Ranks
from model.scaling import Scaling
from model.selflabels import mended_labels
from model.settings import configure
from model.train import train
from model.unlabelled import LABELLED, Unlabelled, extended, settle_unlabelled
from pipeline.errors import ConfigError
from pipeline.legend import UNLABELLED
from pipeline.store import open_store, split_indices

SCALING = Scaling(torch.zeros(7), torch.ones(7))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unlabelled") / "patches.zarr"
    make_store(path, count=30, size_px=10, nodata_share=0.3)
    return path


def of(store: Path, **settings: object) -> Unlabelled | None:
    """Of the store without the truth of pixels and without shares: whatever reads them fails."""
    dataset, info = open_store(store)
    config = configure(
        store, info, store.parent / "run", {"labels": "shares", "batch_size": 6, "feed": "resident", **settings}, resume=False
    )
    elsewhere = Patches(None, WeakLabels("shares"))
    return Unlabelled.of(dataset.drop_vars(["label", "share"]), config, torch.device("cpu"), elsewhere)


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_images_alone_are_read(store: Path, feed: str) -> None:
    dataset, _ = open_store(store)
    for name, splits in UNLABELLED_SPLITS.items():
        found = of(store, unlabelled=name, feed=feed)
        if not splits:
            assert found is None
            continue
        assert found is not None
        index = np.sort(np.concatenate([split_indices(dataset, split) for split in splits]))
        assert len(found.patches) == len(index)
        assert found.patches.labels.image_NK is not None
        assert np.isnan(found.patches.labels.image_NK).all()
        plan = Plan(np.arange(len(index)), np.zeros((len(index), 2), np.bool_), None, (len(index),))
        ours = torch.cat([x.clone() for x, _ in batches(found.patches, 4, SCALING, plan)])
        theirs = Patches(torch.from_numpy(dataset["image"][index].to_numpy()), WeakLabels("shares", np.zeros((len(index), 1), np.float32)))
        assert torch.equal(ours, torch.cat([x for x, _ in batches(theirs, 4, SCALING, plan)]))
        assert str(found).endswith(f": figures of {' and '.join(splits)} are of images the network has seen")


def test_images_of_validation_in_memory_are_not_read_again(store: Path) -> None:
    dataset, info = open_store(store)
    config = configure(store, info, store.parent / "run", {"labels": "points", "unlabelled": "validation"}, resume=False)
    validation = read_split(dataset, "validation", config.rule, config.classes)
    found = Unlabelled.of(dataset.drop_vars(["image", "label", "share"]), config, torch.device("cpu"), validation)
    assert found is not None
    assert found.patches.dn_NCHW is validation.dn_NCHW
    assert found.patches.labels.pixel_NHW is None


def test_left_alone_it_is_settled_by_how_many_patches_have_a_label(store: Path, tmp_path: Path) -> None:
    pixel_NHW = np.full((LABELLED + 5, 2, 2), UNLABELLED, np.uint8)
    pixel_NHW[:LABELLED, 0, 0] = 1
    assert settle_unlabelled("auto", WeakLabels("points", pixel_NHW=pixel_NHW)) == "validation"
    assert settle_unlabelled("auto", WeakLabels("points", pixel_NHW=pixel_NHW[1:])) == "none"
    assert settle_unlabelled("all", WeakLabels("points", pixel_NHW=pixel_NHW[1:])) == "all"
    told: dict[str, Any] = {"labels": "points", "model": "fcn", "device": "cpu"}
    train(store, tmp_path / "run", epochs=1, unlabelled="auto", **told)
    assert load_config(tmp_path / "run").unlabelled == "none"
    train(store, tmp_path / "run", epochs=2, unlabelled="auto", resume=True, **told)
    with pytest.raises(ConfigError, match=r"trained with --unlabelled none, asked to go on with validation"):
        train(store, tmp_path / "run", epochs=3, unlabelled="validation", resume=True, **told)


@pytest.mark.parametrize("feed", ["resident", "streamed"])
def test_of_more_processes_than_patches_some_have_none(store: Path, feed: str) -> None:
    pool = of(store, unlabelled="all", feed=feed)
    assert pool is not None
    counts = []
    for rank in range(3):
        found = pool.behind(iter(feed_of(4, 2)), SCALING, Ranks(rank, 3), epoch=0, steps=4, start=0, size=4)
        counts.append([len(x) - 2 for x, _ in found])
    assert counts == [[1] * 4, [1] * 4, [0] * 4]


def test_a_batch_larger_than_the_split_has_half_the_split_behind_it(store: Path, tmp_path: Path) -> None:
    told = {
        "labels": "points",
        "unlabelled": "validation",
        "model": "fcn",
        "batch_size": 1000,
        "epochs": 2,
        "device": "cpu",
        "precision": "fp32",
    }
    sizes: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        whole = unlabelled_module.extended
        patch.setattr(unlabelled_module, "extended", lambda targets, more: sizes.append(len(more.valid_BHW)) or whole(targets, more))
        train(store, tmp_path / "run", **told)  # type: ignore[arg-type]
    assert sizes == [9]  # of 18 training patches


def test_what_is_about_own_labels_is_no_obstacle_to_a_run_that_has_learned_nothing(store: Path, tmp_path: Path) -> None:
    """Such a folder may be told otherwise; what its recipe had settled about own labels goes with them."""
    _, info = open_store(store)
    for told in ({"self_labels": 0.0}, {"group_patches": 8}):
        config = configure(store, info, tmp_path, {"labels": "shares", "unlabelled": "validation"}, resume=False)
        assert (config.unlabelled, config.border_spectra) == ("validation", True)
        write_json(tmp_path / "config.json", config.to_json())
        found = configure(store, info, tmp_path, told, resume=True)
        assert (found.unlabelled, found.border_spectra) == ("none", False)
    with pytest.raises(ConfigError, match=r"--unlabelled validation does not go with --group-patches"):
        configure(store, info, tmp_path, {"group_patches": 8, "unlabelled": "validation"}, resume=True)
    config = configure(store, info, tmp_path, {"labels": "points"}, resume=False)
    write_json(tmp_path / "config.json", config.to_json())
    assert config.border_levels
    assert not configure(store, info, tmp_path, {"class_weights": "balanced"}, resume=True).border_levels


def feed_of(count: int, size: int) -> list[tuple[Tensor, Targets]]:
    return [(torch.zeros(size, 7, 10, 10), Targets(torch.ones(size, 10, 10, dtype=torch.bool), torch.zeros(size, 5))) for _ in range(count)]


def test_every_patch_comes_as_often_and_a_run_that_goes_on_sees_the_same(store: Path) -> None:
    pool = of(store, unlabelled="validation")
    assert pool is not None
    dn = (8000 + 1000 * torch.arange(len(pool.patches)))[:, None, None, None].expand(-1, 7, 10, 10).to(torch.uint16)
    pool = replace(pool, patches=replace(pool.patches, dn_NCHW=dn.clone()))  # each patch known by its number
    scaling = Scaling(torch.zeros(7), torch.full((7,), 0.1))

    def behind(epoch: int, start: int = 0, ranks: Ranks = ALONE) -> list[list[float]]:
        feed = iter(feed_of(8 - start, 6))
        found = pool.behind(feed, scaling, ranks, epoch=epoch, steps=8, start=start, size=6)
        return [x[6:, 0, 0, 0].tolist() for x, targets in found if len(x) == len(targets.valid_BHW)]

    whole = behind(0)
    assert [len(step) for step in whole] == [3] * 8
    counts = np.unique(np.concatenate(whole), return_counts=True)[1]
    assert len(counts) == len(pool.patches)
    assert counts.max() - counts.min() <= 1
    assert behind(0, start=5) == whole[5:]
    assert behind(1) != whole
    assert [a + b for a, b in zip(behind(0, ranks=Ranks(0, 2)), behind(0, ranks=Ranks(1, 2)), strict=True)] == whole


@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=4), data=st.data())
def test_passes_follow_each_other(sizes: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, sum(sizes)))
    plans = [plan_epoch(size, 0, number, quarter_turns=True)._replace(ends=(*range(2, size, 2), size)) for number, size in enumerate(sizes)]
    found = plan_passes(plans, count)
    for name in ("index_N", "flip_N2", "turn_N"):
        np.testing.assert_array_equal(getattr(found, name), np.concatenate([getattr(plan, name) for plan in plans])[:count])
    starts = np.cumsum([0, *sizes])
    wanted = {int(start) + end for start, plan in zip(starts, plans, strict=False) for end in plan.ends}
    assert found.ends == (*sorted(end for end in wanted if end < count), count)


@pytest.mark.parametrize("kind", ["shares", "points", "presence"])
def test_targets_say_nothing_of_them(kind: str) -> None:
    image = None if kind == "points" else torch.rand(2, 3)
    pixel = torch.zeros(2, 4, 4, dtype=torch.uint8) if kind == "points" else None
    targets = Targets(torch.ones(2, 4, 4, dtype=torch.bool), image, pixel, whole=True)
    found = extended(targets, Targets(torch.zeros(3, 4, 4, dtype=torch.bool), torch.full((3, 3), torch.nan)))
    assert found.answers() == targets.answers()
    assert found.valid_BHW.sum(dim=(1, 2)).tolist() == [16, 16, 0, 0, 0]
    assert not found.whole
    if found.image_BK is not None:
        assert torch.equal(found.image_BK[:2], targets.image_BK)  # type: ignore[arg-type]
        assert found.image_BK[2:].isnan().all()
    if found.pixel_BHW is not None:
        assert found.pixel_BHW.dtype == torch.uint8
        assert (found.pixel_BHW[2:] == UNLABELLED).all()


@pytest.mark.parametrize("labels", ["shares", "points", "presence"])
def test_a_runs_weights_depend_on_their_images_and_on_none_of_their_labels(tmp_path: Path, labels: str) -> None:
    """Validation's truth turned round: validation says otherwise, the weights are the same. Its images turned round: they are not."""
    told = {"border_levels": False} if labels == "points" else {}  # which are fitted on validation's points
    told |= {
        "labels": labels,
        "presence_min_share": 0.1,
        "model": "fcn",
        "batch_size": 6,
        "epochs": 4,
        "device": "cpu",
        "precision": "fp32",
    }
    weights, said = {}, {}
    for name in ("as it is", "labels", "images", "none"):
        path = tmp_path / name
        make_store(path, count=30, size_px=10, nodata_share=0.3)
        turned(path, name)
        train(path, tmp_path / f"run {name}", unlabelled="none" if name == "none" else "validation", **told)  # type: ignore[arg-type]
        assert load_config(tmp_path / f"run {name}").unlabelled == ("none" if name == "none" else "validation")
        weights[name] = (tmp_path / f"run {name}" / "best.safetensors").read_bytes()
        said[name] = read(tmp_path / f"run {name}" / "history.csv", 4)[-1].validation_loss
    assert weights["labels"] == weights["as it is"]
    assert said["labels"] != said["as it is"]
    assert weights["images"] != weights["as it is"]
    assert weights["none"] != weights["as it is"]


def turned(path: Path, what: str) -> None:
    """The store with the labels, or the images, of the patches of its validation split in another order."""
    dataset, _ = open_store(path)
    index, group = split_indices(dataset, "validation"), zarr.open_group(path, mode="r+")
    for name in {"labels": ("label", "share"), "images": ("image", "valid")}.get(what, ()):
        values = np.asarray(group[name])
        values[index] = values[np.roll(index, 1)]
        group[name][:] = values  # type: ignore[index]


def test_own_labels_are_given_to_patches_without_shares() -> None:
    """As if labelled with the balance that the average of what the mean of the weights says has anyhow; without spectra that is the average itself."""
    torch.manual_seed(0)
    scores, x = torch.randn(3, 4, 9, 9), torch.randn(3, 2, 9, 9)
    valid = torch.rand(3, 9, 9) < 0.9
    share = torch.tensor([[0.0, 0.5, 0.5, 0.0], [torch.nan] * 4, [0.25] * 4])
    around = F.avg_pool2d(valid[:, None].float(), 3, 1, 1)
    mean = F.avg_pool2d(scores.softmax(dim=1) * valid[:, None], 3, 1, 1) / around
    balance = mean[1][:, valid[1]].mean(dim=1)
    assert torch.equal(mended_labels(scores, Targets(valid, share))[1], mean[1].argmax(dim=0).masked_fill(~valid[1], UNLABELLED))
    labelled = torch.stack([share[0], balance, share[2]])
    for spectra in (None, x):
        label = mended_labels(scores, Targets(valid, share), spectra)
        assert torch.equal(label, mended_labels(scores, Targets(valid, labelled), spectra))
        assert not set(label[0].unique().tolist()) & {0, 3}
    in_groups = Targets(valid, share, group_B=torch.arange(3))
    assert (mended_labels(scores, in_groups)[1] == UNLABELLED).all()
