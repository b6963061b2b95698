"""The Python interface: the page's whole way runs as it stands, imports are lazy, wrong calls are refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cropcam
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
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


def test_every_name_is_there_and_importing_is_light() -> None:
    assert all(hasattr(cropcam, name) for name in cropcam.__all__)
    code = "import sys, cropcam; sys.exit(bool({'torch', 'numpy', 'xarray', 'pandas', 'ee'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_rasters_come_from_files_or_shards(tmp_path: Path) -> None:
    study = cropcam.load_study("demo")
    with pytest.raises(ConfigError, match=r"pass one of image and shards"):
        cropcam.open_rasters(study)
    with pytest.raises(ConfigError, match=r"pass one of the two"):
        cropcam.build_store(study, tmp_path / "s.zarr", image=["a.tif"])
    with pytest.raises(ConfigError, match=r"pass one of image and shards"):
        cropcam.map_raster(tmp_path, tmp_path / "m.tif", image="a.tif", shards=tmp_path)
