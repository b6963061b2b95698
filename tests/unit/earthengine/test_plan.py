"""Plans and destinations: every documented limit is checked before the first request."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.destinations import Asset, Drive
from cropcam.pipeline.earthengine.plan import FILE_BYTES_LIMIT, QUEUE_LIMIT, plan
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import Study, load_study, parse_study

DRIVE = Drive("folder")


def study_of(preset: str = "demo", **sections: dict[str, Any]) -> Study:
    values = load_study(preset).to_dict()
    for section, keys in sections.items():
        values[section] |= keys
    return parse_study(values)


def test_the_demo_is_one_task_per_layer_and_the_corn_belt_twelve() -> None:
    demo = plan(load_study("demo"), DRIVE)
    assert [(task.name, task.files, task.file_px) for task in demo.tasks] == [("demo-image", 1, 1280), ("demo-labels", 1, 1280)]
    belt = plan(load_study("corn-belt-2016"), DRIVE)
    assert len(belt.tasks) == 24
    assert belt.tasks[0].name == "corn-belt-2016-image-r00c00"
    assert belt.tasks[-1].name == "corn-belt-2016-labels-r02c03"
    assert belt.pixels == 2 * 29_685 * 16_697
    assert belt.bytes == 29_685 * 16_697 * 15
    assert belt.files == 24
    assert "24 tasks to drive:folder: 991,300,890 px, 7.43 GB uncompressed, 24 files" in belt.text()
    kept = plan(load_study("demo"), Asset("map")).text()
    assert [line.split("  ")[-1] for line in kept.splitlines()] == [
        "1 asset",
        "1 task to asset:map: 1,590,121 px, 0.02 GB uncompressed, 1 asset",
    ]
    assert len(belt.rows()) == 24


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 8), st.sampled_from([None, 256, 512, 1024]))
def test_cells_cover_every_pixel_once_within_every_limit(scale: int, cells: int, file_px: int | None) -> None:
    study = study_of(area={"scale_m": 30.0 + scale * 10})
    made = plan(study, DRIVE, cell_px=256 * cells, file_px=file_px)
    for layer in ("image", "labels"):
        seen = np.zeros(study.grid.shape_yx, np.uint8)
        for task in made.tasks:
            if task.layer.name == layer:
                seen[task.cell.slices] += 1
                assert task.file_px % 256 == 0
                assert task.file_px**2 * task.layer.bytes_per_px < FILE_BYTES_LIMIT
        assert seen.min() == seen.max() == 1
    assert len({task.name for task in made.tasks}) == len(made.tasks) <= QUEUE_LIMIT


def test_limits_are_named_before_anything_is_asked_of_the_service() -> None:
    study = load_study("corn-belt-2016")
    for cell in (100, 300, 0, -256):
        with pytest.raises(ConfigError, match=rf"--cell-px {cell}: file dimensions are multiples of 256 px"):
            plan(study, DRIVE, cell_px=cell)
    with pytest.raises(ConfigError, match="--file-px 1000: file dimensions are multiples of 256"):
        plan(study, DRIVE, file_px=1000)
    with pytest.raises(ConfigError, match="files of at most 131,072 px a side"):
        plan(study, DRIVE, file_px=131_072 + 256)
    with pytest.raises(ConfigError, match="a file of image would hold 18,939,904,000 bytes; Earth Engine allows less than 17,179,869,184"):
        plan(study_of(image={"bands": ["SR_B4"] + [f"SR_B{n}" for n in (1, 2, 3, 5)]}), DRIVE, file_px=43_520)
    with pytest.raises(ConfigError, match="--priority 10000: 0 to 9999"):
        plan(study, DRIVE, priority=10_000)
    with pytest.raises(ConfigError, match="tasks; Earth Engine lets 3,000 wait: use larger cells"):
        plan(study, DRIVE, cell_px=256)
    with pytest.raises(ConfigError, match="2100 bands; Earth Engine allows 1024"):
        plan(study_of(image={"seasons": [["2016-05-01", "2016-10-01"]] * 300}), DRIVE)


def test_files_stay_below_the_limit_when_bands_are_many() -> None:
    study = parse_study(
        {
            **load_study("corn-belt-2016").to_dict(),
            "image": {**load_study("corn-belt-2016").to_dict()["image"], "seasons": [["2016-05-01", "2016-10-01"]] * 52},
        }
    )
    made = plan(study, DRIVE, cell_px=8192)
    task = made.tasks[0]
    assert task.file_px % 256 == 0
    assert task.file_px < 8192
    assert task.files > 1
    assert task.file_px**2 * 728 < FILE_BYTES_LIMIT <= (task.file_px + 256) ** 2 * 728


def test_a_cell_as_large_as_the_grid_is_one_file() -> None:
    task = plan(load_study("corn-belt-2016"), DRIVE, cell_px=32_768).tasks[0]
    assert task.pixels == 29_685 * 16_697
    assert task.file_px == 29_696


def test_cells_outside_the_region_get_no_task_and_keep_their_numbers() -> None:
    whole = load_study("corn-belt-2016")
    west, south, _, _ = whole.grid.bounds_xyxy
    ring = [
        [west + 0.1, south + 0.1],
        [west + 0.2, south + 0.1],
        [west + 0.2, south + 0.2],
        [west + 0.1, south + 0.2],
        [west + 0.1, south + 0.1],
    ]
    study = study_of("corn-belt-2016", area={"region": json.dumps({"type": "Polygon", "coordinates": [ring]})})
    found = plan(study, DRIVE)
    assert [task.name for task in found.tasks] == ["corn-belt-2016-image-r01c00", "corn-belt-2016-labels-r01c00"]
    everything = {task.name: task.cell for task in plan(whole, DRIVE).tasks}
    assert all(task.cell == everything[task.name] for task in found.tasks)
    away = study_of("corn-belt-2016", area={"region": json.dumps({"type": "Polygon", "coordinates": [[[x + 40, y] for x, y in ring]]})})
    with pytest.raises(ConfigError, match=r"area\.region: no polygon meets area\.bounds"):
        plan(away, DRIVE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard_px": 100}, r"--shard-size 100: choose one of 16, 32, 64, 128, 256 px"),
        ({"overwrite": True}, "--overwrite goes with --to asset:PATH"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(load_study("demo"), DRIVE, **options)
    with pytest.raises(ConfigError, match="--cog goes with drive: and gs://"):
        plan(load_study("demo"), Asset("map"), cog=True)


def test_an_asset_is_one_cell_whatever_the_side_of_cells() -> None:
    study = load_study("demo")
    first, second = (plan(study, Asset("map"), cell_px=side) for side in (256, 8192))
    assert first == second
    assert [task.cell for task in first.tasks] == [Window(0, 0, *study.grid.shape_yx)]
