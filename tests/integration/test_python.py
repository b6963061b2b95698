"""The Python interface: the page's whole way runs as it stands, imports are lazy, wrong calls are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cropcam
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
from support.builds import build_study, write_inputs
from support.rasters import write_raster

ROOT = Path(__file__).parents[2]
GRID = PixelGrid("EPSG:32615", (30.0, 0.0, 600_000.0, 0.0, -30.0, 4_500_000.0), 500, 500)
CODES = np.array([1, 5, 141, 176], np.uint8)


@pytest.fixture
def scene(tmp_path: Path) -> tuple[list[str], list[str]]:
    """Fields of four classes with a spectrum each, as seven band files and a label raster."""
    rng = np.random.default_rng(0)
    fields = rng.integers(0, 4, (50, 50)).repeat(10, axis=0).repeat(10, axis=1)
    image = [
        write_raster(
            tmp_path / f"scene_SR_B{band}.tif",
            (9_000 + 900 * fields + 300 * band + rng.integers(0, 90, (500, 500))).astype(np.uint16),
            GRID,
        )
        for band in range(1, 8)
    ]
    return [str(path) for path in image], [str(write_raster(tmp_path / "cdl.tif", CODES[fields], GRID))]


def test_the_page_on_python_runs(
    scene: tuple[list[str], list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (ROOT / "docs" / "python.md").read_text("utf-8")
    code = page.split("```python\n")[1].split("```")[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "docs/python.md", "exec"), {"IMAGES": scene[0], "LABELS": scene[1]})  # noqa: S102
    assert (tmp_path / "my.tif").is_file()
    assert "EPSG:32615" in capsys.readouterr().out
    run = cropcam.load_run("my-run")
    values = run.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert values["metrics"] == cropcam.evaluate("my-run").to_dict()
    assert cropcam.open_store("my.zarr").image.dtype == np.float32
    page = (ROOT / "docs" / "store.md").read_text("utf-8")
    found: dict[str, Any] = {}
    for code in page.split("```python\n")[1:3]:
        exec(compile(code.split("```")[0], "docs/store.md", "exec"), found)  # noqa: S102
    spectrum, corn = found["spectrum"], found["corn"].to_numpy()
    np.testing.assert_allclose(spectrum[3], found["near_infrared"].to_numpy()[200, 100] - 300 * 0.0000275, atol=90 * 0.0000275)
    assert 0.2 < corn.mean() < 0.3
    assert found["field"].sizes == {"band": 7, "y": 101, "x": 101}
    assert found["mean"] == pytest.approx(found["near_infrared"].to_numpy()[corn].mean(), rel=1e-5)


def test_every_name_is_there_and_importing_is_light() -> None:
    assert all(hasattr(cropcam, name) for name in cropcam.__all__)
    code = "import sys, cropcam; sys.exit(bool({'torch', 'numpy', 'xarray', 'pandas', 'ee'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rasters_come_from_files_or_shards(tmp_path: Path) -> None:
    study = cropcam.load_study("demo")
    with pytest.raises(ConfigError, match=r"pass one of image and shards"):
        cropcam.open_rasters(study)
    for given in ({}, {"labels": ["a.tif"]}, {"image": "a.tif", "shards": tmp_path}, {"shards": tmp_path, "labels": "a.tif"}):
        with pytest.raises(ConfigError, match=r"pass one of the two"):
            cropcam.build_store(study, tmp_path / "s.zarr", **given)
    for given in ({}, {"image": "a.tif", "shards": tmp_path}, {"image": "a.tif", "store": tmp_path}):
        with pytest.raises(ConfigError, match=r"pass one of image, shards and store"):
            cropcam.map_raster(tmp_path, tmp_path / "m.tif", **given)


def test_a_store_is_a_map_and_patches(tmp_path: Path) -> None:
    (image,), labels, dn, codes = write_inputs(tmp_path)
    lines: list[str] = []
    study = build_study(splits={"method": "random"})
    for _ in range(2):
        summary = cropcam.build_store(study, str(tmp_path / "s.zarr"), image=image, labels=labels, log=lines.append)
    assert (summary.count, summary.existed, len(lines)) == (133, True, 1)
    found = cropcam.open_store(tmp_path / "s.zarr")
    np.testing.assert_allclose(found.image, np.where(dn == 0, np.nan, dn * 0.0000275 - 0.2), atol=1e-6)
    np.testing.assert_array_equal(found.label, codes)
    assert found.rio.crs.to_epsg() == 32616
    sizes = [cropcam.open_patches(tmp_path / "s.zarr", split).sizes["patch"] for split in (None, "train", "validation", "test")]
    assert sizes[0] == sum(sizes[1:]) == 133
    with pytest.raises(ConfigError, match="split 'val': choose one of train, validation, test, or none for all patches"):
        cropcam.open_patches(tmp_path / "s.zarr", "val")
    rasters = cropcam.open_rasters(study, str(image), labels)
    np.testing.assert_array_equal(rasters.image, dn)
    cropcam.build_store(study, tmp_path / "bare.zarr", image=image, scale=2e-5, offset=0.1, nodata=0.0)
    assert "label" not in cropcam.open_store(tmp_path / "bare.zarr")
    np.testing.assert_allclose(cropcam.open_store(tmp_path / "bare.zarr").image, np.where(dn == 0, np.nan, dn * 2e-5 + 0.1), rtol=1e-6)
