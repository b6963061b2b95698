"""Outlines written by a process that is killed or meets a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import geopandas
import geopandas.testing
import numpy as np
import pytest

from cropcam.pipeline.maps.outlines import write_polygons
from support.maps import write_map

SCRIPT = """
import resource, sys
from pathlib import Path
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.maps import class_map, polygons_rings
from cropcam.pipeline.maps.outlines import write_polygons
class_map.BLOCK_PX, polygons_rings.PART_VERTICES = 64, 5000
map_path, out, limit = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
def progress(done, total, note):
    if done >= total // 2 and not limit:
        print("halfway", flush=True)
        sys.stdin.read()
try:
    write_polygons(map_path, out, progress=progress)
except DataError as error:
    sys.exit(f"DataError {error}")
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    classes_YX = np.random.default_rng(0).integers(0, 4, (512, 200)).astype(np.uint8)
    return write_map(tmp_path_factory.mktemp("map") / "map.tif", classes_YX)


def command(path: Path, out: Path, limit: int) -> list[str]:
    return [sys.executable, "-c", SCRIPT, str(path), str(out), str(limit)]


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_a_killed_run_leaves_the_old_polygons_and_the_next_run_starts_over(path: Path, tmp_path: Path, suffix: str) -> None:
    out, expected = tmp_path / f"p{suffix}", tmp_path / f"expected{suffix}"
    write_polygons(path, expected)
    old = write_polygons(path, out, simplify_m=60).path.read_bytes()
    with subprocess.Popen(command(path, out, 0), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "halfway\n"
        process.send_signal(signal.SIGKILL)
    assert out.read_bytes() == old
    assert list((tmp_path / f".{out.name}.partial").iterdir())
    write_polygons(path, out)
    assert {each.name for each in tmp_path.iterdir()} == {out.name, expected.name}
    if suffix == ".parquet":
        assert out.read_bytes() == expected.read_bytes()
    else:
        frames = [geopandas.read_file(each, layer="polygons") for each in (out, expected)]
        geopandas.testing.assert_geodataframe_equal(*frames)


@pytest.mark.parametrize("suffix", [".parquet", ".gpkg"])
def test_a_full_disk_is_one_line_and_leaves_nothing(path: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"p{suffix}"
    done = subprocess.run(command(path, out, 400_000), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"DataError {out}: cannot be written: ")
    assert "disk" in done.stderr.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []
