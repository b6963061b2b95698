"""The examples of docs/sensors.md are read as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from cropcam.pipeline import sensor
from cropcam.pipeline.describe import as_text, of_study
from cropcam.pipeline.study.study import load_study

PAGE = (Path(__file__).parents[2] / "docs" / "sensors.md").read_text("utf-8")
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_is_a_study(tmp_path: Path) -> None:
    (tmp_path / "tisza.toml").write_text(BLOCKS[0])
    study = load_study(str(tmp_path / "tisza.toml"))
    assert study.image.layers == tuple(f"{season}_{band}" for season in (1, 2) for band in ("blue", "green", "red", "nir", "swir1", "ndvi"))
    assert "the nearest of 20 m pixels in each of 10 m: swir1" in as_text(of_study(str(tmp_path / "tisza.toml")))


def test_the_table_of_ones_own_is_a_sensor(tmp_path: Path) -> None:
    (tmp_path / "planet.toml").write_text(BLOCKS[1])
    (tmp_path / "s.toml").write_text(
        '[study]\nname = "p"\n[area]\nbounds = [20.0, 47.2, 20.1, 47.3]\n[image]\nsensor = "planet.toml"\nseasons = [["2021-04-01", "2021-06-15"]]\n'
    )
    assert load_study(str(tmp_path / "s.toml")).image.collections == ("projects/my-project/assets/planet",)


def test_the_table_of_sensors_is_complete() -> None:
    for name in sensor.packaged_names():
        row = next(line for line in PAGE.splitlines() if line.startswith(f'| `"{name}"`'))
        assert sensor.packaged(name).composite in row
        assert all(flag in row for flag in sensor.packaged(name).mask) or "the same" in row
        for flag in sensor.packaged(name).flags:
            assert f"`{flag}`" in PAGE
