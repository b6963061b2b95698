"""A map that is made in spite of SIGKILL, Ctrl-C, a full disk and a second process; and the windows it goes on from."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cropcam.model.inference.wall_to_wall import Outputs, map_raster
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.runtime.atomic import exclusive_lock
from support.mapped_runs import kill_at_random, made, make_fitted_run, make_image, start
from support.maps import write_map
from support.memory_source import Memory

WINDOWS = 5 * 5  # of 32 px
FILES = {
    *("map.tif", "map.tif.aux.xml", "map.stac.json", "map.qml", "p.tif", "p.qml", "u.tif", "u.qml", "o.parquet", "o.qml"),
}


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, its image, and a map of it that nothing stopped."""
    folder = tmp_path_factory.mktemp("kills")
    make_fitted_run(folder / "run")
    make_image(folder)
    made(folder, folder / "whole" / "map.tif")
    assert left(folder / "whole") == FILES
    return folder


def test_kills_at_any_moment_end_with_the_same_bytes(place: Path, tmp_path: Path) -> None:
    out = tmp_path / "map.tif"
    done = [kill_at_random(place, out, seed) for seed in range(2)]
    assert 0 < done[0] <= done[1] <= WINDOWS  # windows that are done are never lost
    assert not {name for name in left(tmp_path) if not name.startswith(".")}
    for before in ("publish", "write_sidecars", "discard"):
        with start(place, out, before) as process:
            error = process.stderr.read() if process.stderr else ""
        assert process.returncode == -signal.SIGKILL, error
    assert "map.tif" in left(tmp_path)
    made(place, out)
    assert content(tmp_path) == content(place / "whole")


class Stopping:
    """Progress that raises after some windows."""

    def __init__(self, after: int, error: BaseException) -> None:
        self.after, self.error, self.calls = after, error, list[int]()

    def __call__(self, done: int, total: int, _note: str) -> None:
        assert total in (WINDOWS, 150, 151)  # rows of outlines as well
        self.calls.append(done)
        if len(self.calls) > self.after:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("the source broke")])
def test_what_was_done_is_said_and_not_done_again(place: Path, tmp_path: Path, error: BaseException) -> None:
    lines: list[str] = []
    with pytest.raises(type(error), match=r"^$|the source broke"):
        made(place, tmp_path / "map.tif", log=lines.append, progress=Stopping(7, error))
    assert lines[-1] == f"7 of {WINDOWS} windows are done and kept in {tmp_path / '.map.tif.windows'}; the same command goes on from there"
    assert {name for name in left(tmp_path) if not name.startswith(".")} == set()
    calls: list[tuple[int, int]] = []
    made(place, tmp_path / "map.tif", log=lines.append, progress=lambda done, total, _: calls.append((done, total)))
    assert calls[: WINDOWS - 6] == [(done, WINDOWS) for done in range(7, WINDOWS + 1)]
    assert not [line for line in lines if "starting over" in line]
    assert content(tmp_path) == content(place / "whole")


def test_a_window_that_is_damaged_is_made_again(place: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        made(place, tmp_path / "map.tif", progress=Stopping(9, KeyboardInterrupt()))
    one, two, *_ = sorted((tmp_path / ".map.tif.windows").glob("*_*.tif"))
    one.write_bytes(one.read_bytes()[:300])
    two.write_bytes(b"")
    calls: list[int] = []
    made(place, tmp_path / "map.tif", progress=lambda done, *_: calls.append(done))
    assert calls[0] == 7
    assert content(tmp_path) == content(place / "whole")


def test_another_map_starts_over_and_says_why(place: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        made(place, tmp_path / "map.tif", progress=Stopping(9, KeyboardInterrupt()))
    made(place, tmp_path / "map.tif", method="score-argmax", log=lines.append)
    assert lines[-1] == "starting over: the unfinished map found here was begun with another method"
    assert left(tmp_path) == FILES
    assert content(tmp_path)["map.tif"] != content(place / "whole")["map.tif"]


def test_the_sieve_alone_does_not_start_over(place: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        made(place, tmp_path / "map.tif", progress=Stopping(9, KeyboardInterrupt()))
    calls, lines = list[int](), list[str]()
    made(place, tmp_path / "map.tif", sieve_ha=1.0, progress=lambda done, *_: calls.append(done), log=lines.append)
    assert calls[0] == 9
    assert not [line for line in lines if "starting over" in line]


def limited(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def command(place: Path, out: Path, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """`cropcam map` as a process of its own."""
    image = [str(path) for path in sorted(place.glob("scene_*.tif"))]
    line = [
        sys.executable,
        "-m",
        "cropcam.cli",
        "map",
        str(place / "run"),
        "--image",
        *image,
        "--out",
        str(out),
        "--device",
        "cpu",
        *map(str, words),
    ]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_a_full_disk_is_one_line_and_leaves_the_old_map(place: Path, tmp_path: Path) -> None:
    """While windows are written; tests/unit/maps/test_finishing.py fills it at every other stage."""
    out = write_map(tmp_path / "map.tif", np.zeros((9, 9), np.uint8))
    (tmp_path / "map.tif.aux.xml").unlink()
    before = out.read_bytes()
    done = command(place, out, "--probabilities", tmp_path / "p.tif", preexec_fn=limited(20_000))
    assert done.returncode == 3
    last = done.stderr.splitlines()[-1]
    assert last.startswith("cropcam: ")
    assert str(tmp_path) in last
    assert "check the disk" in last
    assert "Traceback" not in done.stderr
    assert out.read_bytes() == before
    assert {name for name in left(tmp_path) if not name.startswith(".")} == {"map.tif"}
    assert left(tmp_path) <= {"map.tif", ".map.tif.windows"}


def test_another_process_that_makes_the_map_is_one_line(place: Path, tmp_path: Path) -> None:
    for name in ("map.tif", "p.tif"):
        with exclusive_lock(tmp_path / name), pytest.raises(DataError, match=rf"/{name}: another process is writing it"):
            made(place, tmp_path / "map.tif")
        assert left(tmp_path) == set()


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes into every folder")
def test_a_folder_that_cannot_be_written_is_one_line(place: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match=r"map\.tif: cannot be written: .*Permission denied; check the disk's free space and permissions"):
        made(place, tmp_path / "map.tif")


def test_a_place_that_is_no_folder_is_one_line(place: Path) -> None:
    with pytest.raises(DataError, match=r"/proc/none/map\.tif: cannot be written: ") as caught:
        made(place, Path("/proc/none/map.tif"))
    assert "\n" not in str(caught.value)


def test_the_hidden_folder_holds_a_symbolic_link_to_nothing_of_others(place: Path, tmp_path: Path) -> None:
    """A link in the place of the hidden folder is replaced, not followed."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious.txt").write_text("not ours")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / ".map.tif.windows").symlink_to(elsewhere)
    made(place, tmp_path / "maps" / "map.tif")
    assert left(elsewhere) == {"precious.txt"}
    assert content(tmp_path / "maps") == content(place / "whole")


def test_all_nodata_leaves_nothing(place: Path, tmp_path: Path) -> None:
    source = Memory(np.zeros((3, 40, 40), np.uint16))
    with pytest.raises(DataError, match=r"memory\.tif: every pixel is nodata in some band; there is nothing to map"):
        map_raster(place / "run", source, tmp_path / "map.tif", outputs=Outputs(probabilities=tmp_path / "p.tif"), device="cpu")
    assert left(tmp_path) == set()
