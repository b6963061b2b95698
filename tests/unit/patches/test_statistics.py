"""Statistics of a store from the sums of its blocks, against numpy over all pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cropcam.pipeline.encoding import BandEncoding
from cropcam.pipeline.patches import statistics
from cropcam.pipeline.patches.measure import HISTOGRAM_STEP, bin_edges, measure
from cropcam.pipeline.store.create import create_sums
from cropcam.pipeline.store.schema import NOT_USED, opened
from oracles import patches as oracle
from support.builds import GRID, build_study, small_blocks
from support.stores import store_info

SIZE, ROWS, COLS = 10, 11, 13


@pytest.mark.parametrize("has_labels", [True, False])
def test_sums_of_blocks_are_the_statistics_of_all_training_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_labels: bool
) -> None:
    small_blocks(monkeypatch, 4)
    encoding = BandEncoding("int16", (0.0001, -0.01), (0.0, 5.0), (-1.0, None))
    info, rng = store_info(build_study(), GRID, encoding, size_px=SIZE, has_labels=has_labels), np.random.default_rng(0)
    image = rng.integers(-3000, 20_000, (2, *GRID.shape_yx)).astype(np.int16)
    image[:, rng.random(GRID.shape_yx) < 0.1] = -1
    label = rng.choice(np.array([0, 1, 5, 141], np.uint8), GRID.shape_yx)
    found = measure(image, label if has_labels else None, SIZE, encoding, info.classes.lookup(), len(info.classes), 0.5)
    create_sums(tmp_path, info, found["histogram"].shape[-1], found["histogram"].dtype)
    for name in ("moments", "histogram", *(("counts",) if has_labels else ())):
        opened(tmp_path, name).write(found[name]).result()
    split = rng.choice(np.array([0, 1, 2, NOT_USED], np.uint8), (ROWS, COLS))
    statistic = statistics.of_store(tmp_path, info, split, found["valid"])
    pixels = image.reshape(2, ROWS, SIZE, COLS, SIZE).transpose(1, 3, 0, 2, 4)
    train = pixels[split == 0].astype(float)
    physical = np.where(
        [[[[True]], [[False]]]] & (train == -1),
        np.nan,
        train * np.array([0.0001, -0.01]).reshape(2, 1, 1) + np.array([0.0, 5.0]).reshape(2, 1, 1),
    )
    np.testing.assert_allclose(statistic["mean"], np.nanmean(physical, axis=(0, 2, 3)), rtol=1e-9)
    np.testing.assert_allclose(statistic["std"], np.nanstd(physical, axis=(0, 2, 3)), rtol=1e-9)
    assert statistic["pixels"] == (split == 0).sum() * SIZE**2  # of the second band, which has no nodata
    sampled = train[:, :, ::HISTOGRAM_STEP]
    assert statistic["histogram"] == {
        "every_row": HISTOGRAM_STEP,
        "edges": bin_edges("int16").tolist(),
        "counts": [
            oracle.histogram(band[keep], bin_edges("int16")).tolist()
            for band, keep in ((sampled[:, 0], sampled[:, 0] != -1), (sampled[:, 1], np.full(sampled[:, 1].shape, True)))
        ],
    }
    assert statistic["valid_share"] == pytest.approx(found["valid"][split != NOT_USED].mean())
    if not has_labels:
        assert "class_pixels" not in statistic
        return
    index = info.classes.index(label).reshape(ROWS, SIZE, COLS, SIZE).swapaxes(1, 2)
    for number, name in enumerate(("train", "validation", "test")):
        assert list(statistic["class_pixels"][name].values()) == [
            int((index[split == number] == k).sum()) for k in range(len(info.classes))
        ]
