"""The plan of a delivery: requests, files and bytes, without a client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cropcam.pipeline.earthengine.delivery_plan import layer_pixels, plan_text, window_sides
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.study.study import load_study, parse_study
from support.graph_studies import variant
from support.pixel_service import small


def test_the_plan_counts_requests_files_and_bytes_and_needs_no_service() -> None:
    text = plan_text(load_study("corn-belt-2016"), Path("shards"))
    assert text.splitlines() == [
        "image     495,650,445 px    6,939.1 MB  1,914 requests of 512 px  12 files",
        "labels    495,650,445 px      495.7 MB  135 requests of 2048 px  12 files",
        "to shards: 2,049 requests, 7.43 GB uncompressed",
    ]
    assert "to x: 12 requests" in plan_text(small(), Path("x"), window_px=256, shard_px=512)


def test_windows_divide_the_shards() -> None:
    study = variant(image={"count": True})
    assert window_sides(study, None, 8192) == {"image": 512, "labels": 2048}
    assert window_sides(study, None, 768) == {"image": 256, "labels": 768}
    assert window_sides(study, 256, 512) == {"image": 256, "labels": 256}
    with pytest.raises(ConfigError, match=r"--shard-px 700: not a multiple of the windows' 256 px"):
        window_sides(study, None, 700)


def test_every_layer_has_the_pixels_of_its_requests() -> None:
    study = small()
    assert layer_pixels(study) == dict.fromkeys(("image", "labels"), study.grid.width * study.grid.height)
    values = study.to_dict()
    values["area"]["region"] = json.dumps(
        {"type": "Polygon", "coordinates": [[[-90.1, 41.09], [-90.09, 41.09], [-90.1, 41.1], [-90.1, 41.09]]]}
    )
    assert layer_pixels(parse_study(values), window_px=256) == dict.fromkeys(("image", "labels"), 256 * 256)  # the first window alone
