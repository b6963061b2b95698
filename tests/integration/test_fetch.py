"""Exports come home over loopback: Google's own clients, unmodified, against the embedded engine's Drive and Cloud Storage."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ee
import numpy as np
import pytest

from cropcam.cli import main
from cropcam.pipeline.earthengine.destinations import parse_destination
from cropcam.pipeline.emulator import Fault, Faults, Server, serve
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.fetch.home import bring_home
from cropcam.pipeline.fetch.partial import Partial
from cropcam.pipeline.fetch.places import open_remote
from cropcam.pipeline.fetch.remote import Remote
from cropcam.pipeline.rasters.export_shards import open_shards
from cropcam.pipeline.runtime.atomic import exclusive_lock
from cropcam.pipeline.study.study import parse_study
from support import homecoming, scenes
from support.exports import IMAGE, STUDY
from support.homecoming import NAMES, PATIENCE, contents, put, shards

ROOT = Path(__file__).parents[2]
PLACES = {"drive:maps": "drive/maps", "gs://bucket-1/a/b": "gs/bucket-1/a/b"}
EVERY_PLACE = pytest.mark.parametrize("place", list(PLACES))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return shards(tmp_path_factory.mktemp("made"))


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def server(tmp_path: Path, faults: Faults) -> Iterator[Server]:
    with serve(homecoming.write_engine_archive(tmp_path / "archive"), out=tmp_path / "engine", faults=faults) as one:
        yield one


@pytest.fixture
def study_file(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    values = STUDY.to_dict()
    values["patches"] |= {"size_px": 10}
    values["splits"] |= {"block_patches": [2, 2], "gap_patches": 1}
    path.write_text(parse_study(values).to_toml())
    return str(path)


def remote(server: Server, place: str = "drive:maps") -> Remote:
    source = parse_destination(place)
    assert not isinstance(source, Path)
    return open_remote(source, api_url=server.url, backoff=PATIENCE)


def wanted(made: list[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in made}


@EVERY_PLACE
def test_an_export_comes_home_and_the_printed_command_cuts_it(
    server: Server,
    made: list[Path],
    study_file: str,
    place: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(made, server.out / PLACES[place])
    words = ["fetch", study_file, "--from", place, "--to", str(tmp_path / "my shards"), "--api-url", server.url]
    assert main(words) == 0
    printed = capsys.readouterr().out
    size = sum(path.stat().st_size for path in made)
    assert f"my shards: 18 files, {size:,} bytes, 18 of them fetched now, in " in printed
    assert contents(tmp_path / "my shards") == wanted(made)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "18 files" in printed
    assert ", 0 of them fetched now" in printed
    program, *following = shlex.split(printed.splitlines()[-1].removeprefix("next: "))
    assert program == "cropcam"
    monkeypatch.chdir(tmp_path)
    assert main(following) == 0
    assert (tmp_path / "demo.zarr" / "zarr.json").is_file()


BAD_DAYS = [
    (Fault("{}:media", status=403, reason="rateLimitExceeded", count=6, after=20), ""),
    (Fault("{}:media", status=403, reason="userRateLimitExceeded", count=6), ""),
    (Fault("{}:media", status=429, count=6, after=3), ""),
    (Fault("{}:media", status=503, count=6, after=19), ""),
    (Fault("{}:list", status=500, count=3), ""),
    (Fault("{}:media", "disconnect", count=8, after=10), ""),
    (Fault("{}:media", "truncate", count=12, after=12), ""),
    (Fault("{}:media", "no_range", count=40), ""),
    (Fault("{}:media", "corrupt", count=2, after=20), "arrived damaged; it starts anew"),
    (Fault("{}:list", "replace", count=2), ""),
    (Fault("{}:list", "grow", count=1), ""),
]


@EVERY_PLACE
@pytest.mark.parametrize(
    ("fault", "line"), BAD_DAYS, ids=lambda value: f"{value.kind}-{value.status}-{value.route[3:]}" if isinstance(value, Fault) else ""
)
def test_a_bad_day_costs_no_byte(
    server: Server, faults: Faults, made: list[Path], place: str, fault: Fault, line: str, tmp_path: Path
) -> None:
    put(made, server.out / PLACES[place])
    described = {**vars(fault), "route": fault.route.format("drive" if place.startswith("drive") else "gs")}
    faults.order([described])
    lines: list[str] = []
    bring_home(STUDY, remote(server, place), tmp_path / "home", how=homecoming.how(lines))
    assert contents(tmp_path / "home") == wanted(made)
    assert any(line in one for one in lines) or not line
    assert not faults.left() or fault.kind in ("replace", "no_range")


@EVERY_PLACE
def test_a_file_that_is_replaced_in_between_starts_anew(server: Server, made: list[Path], place: str, tmp_path: Path) -> None:
    put(made, server.out / PLACES[place])
    home, lines = tmp_path / "home", list[str]()
    there = remote(server, place)
    whole = {file.name: file for file in there.files()}
    (home / ".fetching").mkdir(parents=True)
    for name in NAMES[:2]:  # an earlier run was killed in the middle of two files
        begun = Partial(home, whole[name])
        begun.open()
        begun.write(begun.pieces()[0], wanted(made)[name][:1000], 0)
        begun.close()
    newer = shards(tmp_path / "newer", image=IMAGE[:, ::-1, ::-1].copy())
    put([path for path in newer if path.name == NAMES[0]], server.out / PLACES[place])
    bring_home(STUDY, there, home, how=homecoming.how(lines))
    assert contents(home)[NAMES[0]] == (tmp_path / "newer" / NAMES[0]).read_bytes()
    assert contents(home)[NAMES[1]] == wanted(made)[NAMES[1]]
    assert [line for line in lines if "starts anew" in line and NAMES[0] in line]
    assert not [line for line in lines if NAMES[1] in line]


def test_a_file_that_never_comes_right_is_refused_and_the_others_stay(
    server: Server, faults: Faults, made: list[Path], tmp_path: Path
) -> None:
    put(made, server.out / "drive/maps")
    faults.order([vars(Fault("drive:media", "corrupt", count=1000, after=18 + 5))])
    with pytest.raises(DataError, match=r"\.tif: fetched 4 times from maps .*, and its bytes differ from sha256:"):
        bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how())
    there = {name: content for name, content in contents(tmp_path / "home").items() if not name.endswith((".part", ".state"))}
    assert there.items() <= wanted(made).items()
    assert there
    faults.clear()
    bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how())
    assert contents(tmp_path / "home") == wanted(made)


def test_a_process_that_is_killed_goes_on_where_it_stopped(
    server: Server, faults: Faults, made: list[Path], study_file: str, tmp_path: Path
) -> None:
    put(made, server.out / "drive/maps")
    home = tmp_path / "home"
    words = [sys.executable, str(ROOT / "cli.py"), "fetch", study_file, "--from", "drive:maps", "--to", str(home), "--api-url", server.url]
    for passing in (18 + 2, 18 + 9):
        faults.clear()
        faults.order([vars(Fault("drive:media", "slow", count=100, after=passing, seconds=15.0))])
        before = len(list(home.glob("*.tif")))
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True) as process:
            deadline = time.monotonic() + 120
            while len(list(home.glob("*.tif"))) == before and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.02)
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert before < len(list(home.glob("*.tif"))) < 18
    faults.clear()
    subprocess.run(words, check=True, capture_output=True, timeout=300)
    assert contents(home) == wanted(made)


def test_ctrl_c_leaves_nothing_half_written(server: Server, faults: Faults, made: list[Path], study_file: str, tmp_path: Path) -> None:
    put(made, server.out / "gs/bucket-1/a")
    faults.order([vars(Fault("gs:media", "slow", count=100, after=18 + 3, seconds=15.0))])
    home = tmp_path / "home"
    words = [
        sys.executable,
        str(ROOT / "cli.py"),
        "fetch",
        study_file,
        "--from",
        "gs://bucket-1/a",
        "--to",
        str(home),
        "--api-url",
        server.url,
    ]
    # where the tests run in the background, Ctrl-C is ignored, and by their processes too
    heard = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, **heard) as process:
        while not list(home.glob("*.tif")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "nothing is half-written" in errors
    there = {path.name: path.read_bytes() for path in home.glob("*.tif")}
    assert there.items() <= wanted(made).items()


def test_a_full_disk_is_one_line_and_what_is_there_stays(server: Server, made: list[Path], study_file: str, tmp_path: Path) -> None:
    put(made, server.out / "drive/maps")
    home = tmp_path / "home"
    words = ["fetch", study_file, "--from", "drive:maps", "--to", str(home), "--api-url", server.url]
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000)); from cropcam.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", limit, *words], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 3, done.stderr
    assert "File too large; what is there stays: free space and run the same command again" in done.stderr
    assert "Traceback" not in done.stderr
    assert main(words) == 0
    assert contents(home) == wanted(made)


def test_files_spread_over_folders_of_one_name_come_together(server: Server, made: list[Path], tmp_path: Path) -> None:
    put(made[:7], server.out / "drive/maps")
    put(made[7:], server.out / "drive/maps (1)")
    (server.out / "drive/maps (1)").rename(server.out / "drive/other")
    there = remote(server)
    with pytest.raises(DataError, match="not whole"):
        bring_home(STUDY, there, tmp_path / "half", how=homecoming.how())
    key = next(one["id"] for one in there._list("mimeType = 'application/vnd.google-apps.folder'") if one["name"] == "other")  # type: ignore[attr-defined]
    assert len(there.files([f"https://drive.google.com/#folders/{key}", "https://drive.google.com/#folders/gone"])) == 18


def test_half_a_set_is_refused_with_its_gaps_and_stays(
    server: Server, made: list[Path], study_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put([path for path in made if path.name != "demo-labels-r01c00.tif"], server.out / "drive/maps")
    words = ["fetch", study_file, "--from", "drive:maps", "--to", str(tmp_path / "home"), "--api-url", server.url]
    assert main(words) == 3
    assert "labels: 4,096 of " in (text := capsys.readouterr().err)
    assert "pixels lie in no file (rows 64..128, columns 0..64); 17 files are fetched and stay" in text
    put(made, server.out / "drive/maps")
    assert main(words) == 0
    assert ", 1 of them fetched now" in capsys.readouterr().out


def test_files_of_another_study_or_grid_are_left_and_named(server: Server, made: list[Path], tmp_path: Path) -> None:
    put(made, server.out / "drive/maps")
    other = tmp_path / "other-labels.tif"
    other.write_bytes(made[0].read_bytes())
    strange = tmp_path / "demo-image-r07c07.tif"
    strange.write_bytes(made[1].read_bytes())  # labels under the name of an image
    put([other, strange], server.out / "drive/maps")
    lines: list[str] = []
    bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how(lines))
    assert contents(tmp_path / "home") == wanted(made)
    assert [line for line in lines if "other-labels.tif" in line and "demo-image-r07c07.tif: 1 bands of uint8" in line]


@EVERY_PLACE
def test_a_place_without_a_file_of_the_study_is_refused(server: Server, made: list[Path], place: str, tmp_path: Path) -> None:
    stranger = tmp_path / "iowa-image.tif"
    stranger.write_bytes(made[0].read_bytes())
    put([stranger], server.out / PLACES[place])
    with pytest.raises(
        DataError, match=r"no file of study demo \(demo-image\*.tif\) there, but others: iowa-image.tif; check STUDY and --from"
    ):
        bring_home(STUDY, remote(server, place), tmp_path / "home", how=homecoming.how())


def test_no_such_folder_and_no_such_bucket(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="check the name of drive:nowhere and the account"):
        bring_home(STUDY, remote(server, "drive:nowhere"), tmp_path / "home", how=homecoming.how())
    with pytest.raises(EarthEngineError, match=r"listing gs://nowhere-1/a/: The specified bucket does not exist: there is no such bucket"):
        bring_home(STUDY, remote(server, "gs://nowhere-1/a"), tmp_path / "home", how=homecoming.how())


def test_a_folder_with_other_files_is_refused_before_a_byte_is_fetched(server: Server, made: list[Path], tmp_path: Path) -> None:
    put(made, server.out / "drive/maps")
    home = tmp_path / "home"
    home.mkdir()
    (home / NAMES[0]).write_bytes(b"mine")
    with pytest.raises(DataError, match=rf"{NAMES[0]}: is there already, with other bytes than the file in maps .*; move it away"):
        bring_home(STUDY, remote(server), home, how=homecoming.how())
    assert contents(home) == {NAMES[0]: b"mine"}
    (home / NAMES[0]).rename(home / "image.tif")
    with pytest.raises(DataError, match=r"holds image\.tif, no part of this export; choose a folder of its own"):
        bring_home(STUDY, remote(server), home, how=homecoming.how())
    assert contents(home) == {"image.tif": b"mine"}


def test_one_process_at_a_time(server: Server, made: list[Path], tmp_path: Path) -> None:
    put(made, server.out / "drive/maps")
    (tmp_path / "home").mkdir()
    with exclusive_lock(tmp_path / "home"), pytest.raises(DataError, match="another process fetches into it"):
        bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how())


def test_clocks_that_are_wrong_by_an_hour_change_nothing(server: Server, made: list[Path], tmp_path: Path) -> None:
    put(made[:9], server.out / "drive/maps", age_s=-3600)
    put(made[9:], server.out / "drive/maps", age_s=3600)
    bring_home(STUDY, remote(server), tmp_path / "home", how=homecoming.how())
    source, labels = open_shards(tmp_path / "home", STUDY)
    assert labels is not None
    assert np.array_equal(source.read(homecoming.WHOLE), IMAGE)


def test_watching_fetches_as_tasks_end_and_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The real export, its tasks slow at first, one of them failing; the next export and the next fetch bring the rest."""
    archive = scenes.write_archive(tmp_path / "scenes")
    study = tmp_path / "demo.toml"
    study.write_text(scenes.study().to_toml())
    words = [str(study), "--project", "p", "--api-url"]
    faults = Faults.of(Fault("export:run", "memory"))
    with serve(archive, out=tmp_path / "engine", faults=faults) as server:
        assert main(["export", *words, server.url, "--to", "drive:maps", "--no-wait"]) == 0
        watch = ["fetch", *words, server.url, "--from", "drive:maps", "--to", str(tmp_path / "home"), "--watch"]
        assert main(watch) == 4
        text = capsys.readouterr().err
        assert "1 files are there and stay; missing: demo-" in text
        assert len(list((tmp_path / "home").glob("*.tif"))) == 1
        assert main(["export", *words, server.url, "--to", "drive:maps"]) == 0
        assert main(watch) == 0
        assert ", 1 of them fetched now" in capsys.readouterr().out
        assert (
            main(["fetch", str(study), "--project", "other", "--api-url", server.url, "--from", "drive:maps", "--to", str(tmp_path / "x")])
            == 2
        )
        assert "the export to drive:maps is of project p, not other; give --project p" in capsys.readouterr().err
        assert main(["fetch", *words, server.url, "--from", "drive:elsewhere", "--to", str(tmp_path / "x"), "--watch"]) == 2
        assert "--watch needs the export's manifest" in capsys.readouterr().err
        assert main(["fetch", *words, server.url, "--from", "shards", "--to", str(tmp_path / "x")]) == 2
        assert "name the drive:FOLDER or gs://BUCKET/PREFIX of the export" in capsys.readouterr().err
    ee.Reset()
    open_shards(tmp_path / "home", scenes.study())
