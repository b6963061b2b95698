"""The splits of a run: few labels, patches without a label, and the steps that a run has at least."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cropcam.model.runs.config import RunConfig
from cropcam.model.training.splits import ADAPTED_STEPS, FEW_BAGS, FEWEST_STEPS, MIN_STEPS, MOST_PASSES, check_batches, passes, read_splits
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.store.patch_store import PatchStore, open_store
from support.runs import make_config
from support.stores import make_store

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PatchStore:
    path = tmp_path_factory.mktemp("splits") / "s.zarr"
    make_store(path, count=60, size_px=8)
    return open_store(path)


def polygons(store: PatchStore, patches: list[int], out: Path) -> Path:
    """One polygon about each patch, all corn."""
    a, _, c, _, e, f = store.grid.transform
    features = []
    for patch in patches:
        west, north = c + a * 8 * int(store.col_N[patch]), f + e * 8 * int(store.row_N[patch])
        ring = [[west, north], [west + a * 8, north], [west + a * 8, north + e * 8], [west, north + e * 8], [west, north]]
        features.append(
            {
                "type": "Feature",
                "properties": {"background": 0.0, "corn": 1.0, "soybean": 0.0, "forest": 0.0, "grassland": 0.0},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    out.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return out


def config_of(store: PatchStore, **settings: Any) -> RunConfig:
    return make_config(store.path, store.info, **{"model": "fcn", "labels": "shares", "loss": "shares", **settings})


def test_patches_without_a_label_are_trained_on_only_for_pseudo_labels(store: PatchStore, tmp_path: Path) -> None:
    train_N, validation_N = (store.split_indices(split) for split in ("train", "validation"))
    file = polygons(store, [*train_N[:5], *validation_N[:FEW_BAGS]], tmp_path / "areas.geojson")
    found, lines = read_splits(config_of(store, areas=str(file)), store, CPU, lines_of := []), lines_of
    assert ([len(part) for part in found], lines) == ([5, FEW_BAGS], [])
    assert found[0].index_N is not None
    np.testing.assert_array_equal(found[0].index_N, train_N[:5])
    np.testing.assert_array_equal(found[0].images.values_NCHW, store.images(train_N[:5]))  # type: ignore[attr-defined]
    taught, _ = read_splits(config_of(store, areas=str(file), pseudo_label_weight=1.0), store, CPU, lines.append)
    assert (len(taught), int(taught.labels.labelled().sum())) == (len(train_N), 5)


def test_few_labels_are_all_trained_on(store: PatchStore, tmp_path: Path) -> None:
    train_N, validation_N = (store.split_indices(split) for split in ("train", "validation"))
    chosen = sorted([*train_N[:2].tolist(), *validation_N[: FEW_BAGS - 1].tolist()])
    file, lines = polygons(store, chosen, tmp_path / "few.geojson"), list[str]()
    train_split, validation = read_splits(config_of(store, areas=str(file)), store, CPU, lines.append)
    assert train_split is validation
    assert train_split.index_N is not None
    assert train_split.index_N.tolist() == chosen
    assert lines == [
        f"warning: {file}: {FEW_BAGS - 1} of its {len(chosen)} polygons lie in the validation split, too few to select an epoch by: all are "
        "trained on, and the validation below is that of the same polygons"
    ]
    test_N = store.split_indices("test")
    with pytest.raises(DataError, match="no patch of the train split has its centre in one of the polygons"):
        read_splits(config_of(store, areas=str(polygons(store, test_N[:3].tolist(), tmp_path / "test.geojson"))), store, CPU, lines.append)


def test_a_store_without_validation_is_trained_on_by_a_file(store: PatchStore, tmp_path: Path) -> None:
    without = PatchStore(store.path, store.info)
    without.split_N = np.where(store.split_N == 1, 255, store.split_N).astype(np.uint8)  # type: ignore[misc]
    file, lines = polygons(store, store.split_indices("train")[:5].tolist(), tmp_path / "areas.geojson"), list[str]()
    train_split, validation = read_splits(config_of(store, areas=str(file)), without, CPU, lines.append)
    assert train_split is validation
    assert len(train_split) == 5
    with pytest.raises(DataError, match="no patch lies in the validation split"):
        read_splits(config_of(store), without, CPU, lines.append)


@pytest.mark.parametrize(
    ("patches", "batch_size", "found"),
    [(1, 32, 600), (12, 32, 50), (125, 32, 5), (196, 32, 5), (400, 32, 5), (1000, 32, 2), (1969, 32, 1), (1969, 64, 2), (20_000, 32, 1)],
)
def test_few_patches_are_passed_over_several_times(store: PatchStore, tmp_path: Path, patches: int, batch_size: int, found: int) -> None:
    config = config_of(store, epochs=16, batch_size=batch_size, passes=0)
    assert passes(config, patches) == found
    steps = found * patches / batch_size * 16
    wanted = min(MIN_STEPS, max(FEWEST_STEPS, MOST_PASSES * patches / batch_size))
    assert steps > wanted or steps == pytest.approx(wanted, rel=0.35)
    assert passes(config.changed(passes=3), patches) == 3
    adapted = passes(config.changed(init=str(tmp_path)), patches)
    assert adapted == 1 or adapted * patches / batch_size * 16 == pytest.approx(ADAPTED_STEPS, rel=0.35)


def test_a_batch_of_one_is_refused(store: PatchStore) -> None:
    config = config_of(store, model="unet", labels="pixels", loss="cross-entropy", batch_size=4, passes=1)
    check_batches(config, 8)
    with pytest.raises(ConfigError, match="--batch-size 4 leaves a batch of one of 9 training patches: unet cannot learn from one patch"):
        check_batches(config, 9)
    check_batches(config.changed(passes=2), 9)
