"""Places where a command may not write, and those where it may."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.errors import ConfigError, CropcamError, DataError
from cropcam.pipeline.runtime import outputs
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, check_name, check_outputs, is_marked, is_same, json_object
from support.snapshots import snapshot


def own(path: Path) -> bool:
    return path.read_text() == "own"


def file(path: Path, what: str = "map") -> Output:
    return Output(path, "--out", what, own)


def folder(path: Path) -> Output:
    return Output(path, "--store", "patch store", is_folder=True)


def test_a_new_place_and_an_older_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "old.tif").write_text("own")
    check_outputs(
        [file(tmp_path / "new" / "map.TIF"), file(tmp_path / "old.tif"), folder(tmp_path / "s.zarr")], [tmp_path / "in.tif", None]
    )
    assert set(snapshot(tmp_path)) == {"old.tif"}


@pytest.mark.parametrize(
    ("overwrite", "step"),
    [(None, "choose another name, or move that away$"), (False, "choose another name, move that away, or give --overwrite$")],
)
def test_a_file_of_another_kind_stays_unless_asked_for(tmp_path: Path, overwrite: bool | None, step: str) -> None:
    (tmp_path / "notes.tif").write_text("field notes")
    with pytest.raises(DataError, match=rf"--out .*notes\.tif: is there already and holds no map that cropcam wrote; {step}"):
        check_outputs([file(tmp_path / "notes.tif")], overwrite=overwrite)
    check_outputs([file(tmp_path / "notes.tif")], overwrite=True)


def test_a_folder_that_is_there_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "s.zarr").mkdir()
    with pytest.raises(
        DataError, match=r"s\.zarr: is there already and holds no patch store that cropcam wrote; choose another name, or move that away"
    ):
        check_outputs([folder(tmp_path / "s.zarr")], overwrite=True)


@pytest.mark.parametrize("overwrite", [None, True])
def test_an_input_is_never_an_output_by_whatever_name(tmp_path: Path, overwrite: bool | None) -> None:
    source = tmp_path / "in.tif"
    source.write_text("own")
    (tmp_path / "sub").mkdir()
    os.link(source, tmp_path / "hard.tif")
    for path in (source, tmp_path / "sub" / ".." / "in.tif", tmp_path / "hard.tif"):
        with pytest.raises(DataError, match=r"--out .*\.tif: is an input of this command( \(.*in\.tif\))?; choose another name"):
            check_outputs([file(path)], [source], overwrite=overwrite)


@pytest.mark.parametrize("overwrite", [None, True])
def test_links(tmp_path: Path, overwrite: bool | None) -> None:
    (tmp_path / "own.tif").write_text("own")
    (tmp_path / "to-own.tif").symlink_to(tmp_path / "own.tif")
    (tmp_path / "dangling.tif").symlink_to(tmp_path / "absent" / "x.tif")
    (tmp_path / "dangling").symlink_to(tmp_path / "absent" / "x")
    before = snapshot(tmp_path)
    with pytest.raises(DataError, match=r"to-own\.tif: is a link to .*/own\.tif; name that, or choose another name"):
        check_outputs([file(tmp_path / "to-own.tif")], overwrite=overwrite)
    for each in (file(tmp_path / "dangling.tif"), folder(tmp_path / "dangling")):
        with pytest.raises(DataError, match=r"dangling(\.tif)?: is a link to .*/absent/x(\.tif)?, which does not exist; mount or make it"):
            check_outputs([each], overwrite=overwrite)
    with pytest.raises(DataError, match=r"map\.tif: cannot lie there, since .*/dangling is a link to a place that does not exist"):
        check_outputs([file(tmp_path / "dangling" / "map.tif")], overwrite=overwrite)
    assert snapshot(tmp_path) == before


def test_a_folder_by_a_link_is_the_folder(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "s.zarr").symlink_to(tmp_path / "disk")
    check_outputs([Output(tmp_path / "s.zarr", "--store", "patch store", lambda path: path.is_dir(), is_folder=True)])


def test_a_file_in_the_place_of_a_folder_and_the_reverse(tmp_path: Path) -> None:
    (tmp_path / "file.tif").write_text("own")
    (tmp_path / "folder.tif").mkdir()
    with pytest.raises(DataError, match=r"--store .*file\.tif: is a file; name a folder"):
        check_outputs([folder(tmp_path / "file.tif")])
    with pytest.raises(DataError, match=r"folder\.tif: is a folder; give the file name of the map, for example .*folder\.tif/map\.tif"):
        check_outputs([file(tmp_path / "folder.tif")], overwrite=True)
    with pytest.raises(DataError, match=r"map\.tif: cannot lie there, since .*file\.tif is a file; choose another place"):
        check_outputs([file(tmp_path / "file.tif" / "deep" / "map.tif")])


def test_what_is_no_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.tif")
    with pytest.raises(DataError, match=r"fifo\.tif: is no ordinary file; choose another name"):
        check_outputs([file(tmp_path / "fifo.tif")], overwrite=True)


@pytest.mark.parametrize("root", ["zarr.json", ".build/spec.json"])
def test_no_file_lies_inside_a_store(tmp_path: Path, root: str) -> None:
    (tmp_path / root).parent.mkdir(exist_ok=True)
    (tmp_path / root).write_text("{}")
    with pytest.raises(DataError, match=r"map\.tif: lies inside the store .*; choose a place outside it"):
        check_outputs([file(tmp_path / "c" / "map.tif")])


def test_two_outputs_of_one_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"x\.tif: is named for two outputs; give each its own file"):
        check_outputs([file(tmp_path / "x.tif"), file(tmp_path / "a" / ".." / "x.tif", "probabilities")])


def test_two_names_that_differ_in_case_are_one_where_the_disk_takes_them_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    two = [file(tmp_path / "Map.tif"), file(tmp_path / "map.TIF", "probabilities")]
    check_outputs(two)
    monkeypatch.setattr(outputs, "_is_case_blind", lambda _: True)
    with pytest.raises(ConfigError, match="is named for two outputs"):
        check_outputs(two)


def test_a_disk_is_tried_with_names_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "Sub").mkdir()
    assert not outputs._is_case_blind(tmp_path / "Sub" / "absent")
    (tmp_path / "sUB").symlink_to(tmp_path / "Sub")  # as a case-blind disk answers
    assert outputs._is_case_blind(tmp_path / "Sub" / "absent")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a\nb.tif", r"^--out 'a\\nb\.tif': holds characters that no name"),
        ("a\udcff.tif", r"^--out 'a\\udcff\.tif': holds characters that no name"),
        ("a\x00.tif", "holds characters that no name"),
        ("/vsimem/a.tif", "is read as an address or as the name of a driver"),
        ("GTIFF_DIR:1:a.tif", "is read as an address or as the name of a driver"),
        ("s3://bucket/a.tif", "is read as an address"),
        ("a!b/o.gpkg", "the name of a GeoPackage, and of its folder, cannot hold '!'"),
        ("map.png", r"--out map\.png: does not fit the kind of the file \(map\); end the name in \.tif or \.tiff"),
        ("map", "does not fit the kind of the file"),
        ("map.tif.", "does not fit the kind of the file"),
        ("", r"--out \.: is a folder; give the file name of the map"),
        ("..", r"--out \.\.: is a folder; give the file name of the map"),
        ("x" * 243 + ".tif", "its name is too long by 5 bytes; choose a shorter one"),
        ("é" * 122 + ".tif", "its name is too long by 6 bytes"),
    ],
)
def test_names_that_are_refused(name: str, reason: str) -> None:
    with pytest.raises(CropcamError, match=reason):
        check_outputs([file(Path(name))])


@pytest.mark.parametrize("name", ["a::b.tif", "a?b#c%d.tif", "a b.tif", "!a'\"$.tif", "ü.tif", "/x/12:30.tif", "x" * 238 + ".tif"])
def test_names_that_work(name: str, tmp_path: Path) -> None:
    check_outputs([file(tmp_path / name)])
    atomic_write(tmp_path / Path(name).name, "own")
    check_outputs([file(tmp_path / Path(name).name)])


@given(st.text(max_size=300))
def test_any_name_is_taken_or_refused_in_one_line(name: str) -> None:
    try:
        check_name(Output(Path(name), "--out", "map"))
    except CropcamError as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - either way is right


def test_a_name_longer_than_the_disk_takes(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--out .*: File name too long; choose another place"):
        check_outputs([file(tmp_path / ("x" * 400) / "map.tif")])


def test_marks(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 65_532 + b"mark")
    (tmp_path / "b").write_bytes(b"x" * 65_533 + b"mark")
    assert is_marked(tmp_path / "a", b"mark")
    assert not is_marked(tmp_path / "b", b"mark")
    assert not is_marked(tmp_path / "absent", b"mark")


def test_the_same_place_by_two_names(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert is_same(tmp_path / "absent", tmp_path / "link" / "absent")
    assert not is_same(tmp_path / "absent", tmp_path / "other")


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1}', '{"a": {"b": [1]}}', "[" * 9999, None])
def test_what_holds_no_such_object_holds_an_empty_one(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    assert json_object(path, "a", "b") == {}


def test_an_object_within_an_object_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": {"b": {"c": 1}}}')
    assert json_object(tmp_path / "a.json", "a", "b") == {"c": 1}


@pytest.mark.parametrize("what", sorted(outputs.ENDINGS))
def test_a_file_has_an_ending_of_its_kind(what: str, tmp_path: Path) -> None:
    for ending in outputs.ENDINGS[what]:
        outputs.check_kind(Output(tmp_path / f"x{ending.upper()}", "--out", what))
    with pytest.raises(ConfigError, match=rf"--out .*x\.zarr: does not fit the kind of the file \({what}\); end the name in \."):
        outputs.check_kind(Output(tmp_path / "x.zarr", "--out", what))
    outputs.check_kind(Output(tmp_path / "x.zarr", "", what))  # a file beside another, whose name follows from that


def test_a_folder_has_no_ending_of_a_file(tmp_path: Path) -> None:
    for what in (*outputs.STORES, "run", "folder", "archive"):
        for name in ("x", "x.2016", "v1.0", *(["x.zarr"] if what in outputs.STORES else [])):
            outputs.check_kind(Output(tmp_path / name, "--out", what, is_folder=True))
        for name in ("x.tif", "x.PNG", "x.json", *([] if what in outputs.STORES else ["x.zarr"])):
            with pytest.raises(ConfigError, match=rf"does not fit the kind of the folder \({what}\); .*leave the ending out"):
                outputs.check_kind(Output(tmp_path / name, "--out", what, is_folder=True))


def test_the_endings_are_those_that_the_writers_know() -> None:
    from cropcam.pipeline.maps.polygons_files import WRITERS

    assert outputs.ENDINGS["polygons"] == tuple(WRITERS)
