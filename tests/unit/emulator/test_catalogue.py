"""Identity of files over changes by hand, kills and restarts."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import pytest

from cropcam.pipeline.emulator.catalogue import JOURNAL, Catalogue, Entry


def clock() -> Callable[[], int]:
    ticks = itertools.count(1_700_000_000 * 10**9)
    return lambda: next(ticks)


def write(path: Path, data: bytes = b"pixels") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def add(catalogue: Catalogue, tmp_path: Path, path: str, name: str, data: bytes = b"pixels") -> Entry:
    return catalogue.publish(catalogue.reserve(path, name), write(tmp_path / "temp", data))


def paths(catalogue: Catalogue, top: str = "drive") -> list[str]:
    return [entry.path for entry in catalogue.under(top)]


def test_a_published_file_is_listed_with_its_checksums(tmp_path: Path) -> None:
    catalogue, data = Catalogue(tmp_path), os.urandom(3_000_000)
    entry = add(catalogue, tmp_path, "drive/crops/image (1).tif", "image.tif", data)
    crc = base64.b64encode(google_crc32c.value(data).to_bytes(4, "big")).decode()
    assert (entry.name, entry.size, entry.md5, entry.crc32c) == ("image.tif", len(data), hashlib.md5(data).hexdigest(), crc)  # noqa: S324
    assert entry.parent == "drive/crops"
    assert catalogue.path(entry).read_bytes() == data
    assert catalogue.under("drive")[-1] == catalogue.by_id(entry.id) == catalogue.find(entry.path) == entry


def test_a_restarted_server_knows_every_item(tmp_path: Path) -> None:
    first = Catalogue(tmp_path, clock())
    folder = first.reserve("drive/crops (1)", "crops", is_folder=True)
    add(first, tmp_path, "drive/crops (1)/image.tif", "image.tif")
    second = Catalogue(tmp_path, clock())
    assert second.under("drive") == first.under("drive")
    assert second.by_id(folder.id) == folder
    assert second.reserve("drive/x", "x", is_folder=True).created_ns > folder.created_ns  # though the clock began anew


def test_a_file_put_there_by_hand_is_seen_and_a_deleted_one_is_not(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert paths(catalogue) == []
    path = write(tmp_path / "drive/a%2Fb/by hand (1).tif")
    os.utime(path, ns=(5 * 10**9, 5 * 10**9))
    folder, file = catalogue.under("drive")
    assert (folder.name, folder.is_folder, file.name, file.modified_ns, file.created_ns) == (
        "a/b", True, "by hand (1).tif", 5 * 10**9, 5 * 10**9,
    )  # fmt: skip
    assert catalogue.with_checksums(file).md5 == hashlib.md5(b"pixels").hexdigest()  # type: ignore[union-attr]  # noqa: S324
    path.unlink()
    assert paths(catalogue) == ["drive/a%2Fb"]
    assert catalogue.by_id(file.id) is catalogue.find(file.path) is catalogue.open(file) is catalogue.with_checksums(file) is None
    write(path)
    assert catalogue.under("drive")[1].id != file.id  # another file


def test_a_deleted_file_is_gone_for_a_restarted_server_too(tmp_path: Path) -> None:
    entry = add(Catalogue(tmp_path), tmp_path, "drive/image (1).tif", "image.tif")
    (tmp_path / entry.path).unlink()
    assert Catalogue(tmp_path).by_id(entry.id) is None
    assert list((tmp_path / JOURNAL).iterdir()) == []


def test_other_content_is_a_new_generation_of_the_same_item(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    entry = add(catalogue, tmp_path, "gs/bucket/image.tif", "image.tif")
    os.utime(write(tmp_path / entry.path, b"others"), ns=(0, 0))  # an older time must not give a smaller generation
    changed = catalogue.find(entry.path)
    assert changed is not None
    assert (changed.id, changed.generation > entry.generation, changed.md5) == (entry.id, True, "")
    again = add(catalogue, tmp_path, entry.path, "image.tif", b"again")
    assert again.generation > changed.generation
    assert again.md5 == hashlib.md5(b"again").hexdigest()  # noqa: S324


@pytest.mark.parametrize("is_there", [False, True])
def test_a_server_killed_while_it_publishes_loses_nothing(tmp_path: Path, is_there: bool) -> None:
    """Killed before the file has moved, or before its checksums are kept."""
    reserved = Catalogue(tmp_path).reserve("drive/image (1).tif", "image.tif")
    if is_there:
        write(tmp_path / reserved.path)
    after = Catalogue(tmp_path)
    found = [(entry.id, entry.name) for entry in after.under("drive")]
    assert found == ([(reserved.id, "image.tif")] if is_there else [])
    assert after.free(reserved.path) is not is_there


def test_a_reserved_path_is_not_free_and_not_listed(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    entry = catalogue.reserve("drive/image.tif", "image.tif")
    assert not catalogue.free("drive/image.tif")
    assert paths(catalogue) == []
    assert catalogue.find(entry.path) is None
    catalogue.publish(entry, write(tmp_path / "temp"))
    assert paths(catalogue) == ["drive/image.tif"]


def test_hidden_names_links_and_paths_outside_are_not_listed(tmp_path: Path) -> None:
    write(tmp_path / "secret")
    write(tmp_path / "drive/.hidden/file")
    write(tmp_path / "drive/.image.tif.partial")
    (tmp_path / "drive/link").symlink_to(tmp_path / "secret")
    (tmp_path / "drive/links").symlink_to(tmp_path)
    catalogue = Catalogue(tmp_path)
    assert paths(catalogue) == []
    for path in ("drive/../secret", "drive/./x", "drive/.hidden/file", "drive/link", "drive//x", "", "drive/x\0"):
        assert catalogue.find(path) is None
    assert catalogue.find(add(catalogue, tmp_path, "gs/bucket/.kept", ".kept").path) is not None  # written by an export
    assert paths(catalogue, "gs") == ["gs/bucket", "gs/bucket/.kept"]


def test_a_folder_in_the_place_of_a_file_is_another_item(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    entry = add(catalogue, tmp_path, "drive/x", "x")
    (tmp_path / "drive/x").unlink()
    (tmp_path / "drive/x").mkdir()
    found = catalogue.find("drive/x")
    assert found is not None
    assert (found.is_folder, found.id != entry.id, catalogue.by_id(entry.id)) == (True, True, None)


def test_folders_made_at_once_differ_in_their_listed_times(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path, lambda: 10**18)
    made = [catalogue.reserve(f"drive/{number}", "x", is_folder=True).created_ns // 10**6 for number in range(3)]
    assert len(set(made)) == 3
    assert made == sorted(made)


def test_an_open_file_is_described_by_its_own_content(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    listed = add(catalogue, tmp_path, "gs/bucket/x", "x", b"old")
    write(tmp_path / "new", b"newer").replace(tmp_path / listed.path)
    opened = catalogue.open(listed)
    assert opened is not None
    file, entry = opened
    with file:
        assert (file.read(), entry.size, entry.generation > listed.generation) == (b"newer", 5, True)


def test_a_spoilt_journal_is_left_out(tmp_path: Path) -> None:
    entry = add(Catalogue(tmp_path), tmp_path, "drive/x.tif", "x.tif")
    (tmp_path / JOURNAL / f"{entry.id}.json").write_text("{")
    found = Catalogue(tmp_path).under("drive")
    assert [item.path for item in found] == [entry.path]
    assert found[0].id != entry.id


def test_a_journal_that_cannot_be_written_ends_no_listing(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("a file in the place of the journal's folder")
    write(tmp_path / "drive/x.tif")
    catalogue = Catalogue(tmp_path)
    (found,) = catalogue.under("drive")
    assert catalogue.by_id(found.id) == found


def test_an_item_is_given_as_last_seen_or_looked_for(tmp_path: Path) -> None:
    catalogue = Catalogue(tmp_path)
    assert catalogue.last_seen("drive/x.tif") is None
    path = write(tmp_path / "drive/x.tif")
    found = catalogue.last_seen("drive/x.tif")
    assert found is not None
    path.unlink()
    assert catalogue.last_seen("drive/x.tif") == found
    assert catalogue.find("drive/x.tif") is catalogue.last_seen("drive/x.tif") is None
