from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.patches.unfinished import SPEC, begin, check_place, discard, publish, specification
from cropcam.pipeline.store.schema import BUILD, PENDING, ROOT, StoreInfo
from support.stores import make_store


@pytest.fixture
def info(tmp_path: Path) -> StoreInfo:
    return make_store(tmp_path / "other.zarr", 8, 16)


def test_the_same_work_goes_on_and_other_work_starts_over(tmp_path: Path, info: StoreInfo) -> None:
    store, lines = tmp_path / "s.zarr", list[str]()
    begin(store, info, lines.append)
    (store / "image" / "c").mkdir()
    begin(store, info, lines.append)
    assert (store / "image" / "c").exists()
    assert lines == []
    begin(store, replace(info, split_seed=7, digests={"image:a.tif": "blake3:0"}), lines.append)
    assert not (store / "image" / "c").exists()
    assert (store / BUILD / SPEC).read_text() == specification(replace(info, split_seed=7, digests={"image:a.tif": "blake3:0"}))
    (line,) = lines
    assert "was begun with another input.image" in line


def test_arrays_that_were_not_all_made_are_made_again(tmp_path: Path, info: StoreInfo) -> None:
    store = tmp_path / "s.zarr"
    begin(store, info, pytest.fail)
    before = sorted(path.relative_to(store) for path in store.rglob("*"))
    (store / "y" / ROOT).unlink()
    (store / BUILD / "ready").unlink()
    begin(store, info, pytest.fail)
    assert sorted(path.relative_to(store) for path in store.rglob("*")) == before


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    check_place(tmp_path / "mine")
    check_place(tmp_path / "absent")
    (tmp_path / "mine" / "notes").touch()
    refused = "mine: is there already and holds no patch store that cropcam wrote; choose another name, or move that away"
    with pytest.raises(DataError, match=refused):
        check_place(tmp_path / "mine")
    with pytest.raises(DataError, match=r"--store .*notes: is a file; name a folder"):
        check_place(tmp_path / "mine" / "notes")
    (tmp_path / "mine" / BUILD).mkdir()  # as other programs call a folder of theirs
    with pytest.raises(DataError, match=refused):
        check_place(tmp_path / "mine")
    (tmp_path / "mine" / "notes").unlink()
    check_place(tmp_path / "mine")


def test_unfinished_work_of_ours_is_known_by_its_specification(tmp_path: Path, info: StoreInfo) -> None:
    store = tmp_path / "s.zarr"
    begin(store, info, pytest.fail)
    check_place(store)
    (store / BUILD / SPEC).unlink()  # all that a kill may leave of it
    check_place(store)
    (store / BUILD).rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds no patch store"):
        check_place(store)
    (store / BUILD).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="holds no patch store"):
        check_place(store)
    (store / PENDING).write_text(json.dumps({"attributes": json.loads(specification(info))}))
    check_place(store)


def test_work_that_is_not_done_is_not_published(tmp_path: Path, info: StoreInfo) -> None:
    store = tmp_path / "s.zarr"
    begin(store, info, pytest.fail)
    assert not publish(store)
    assert (store / BUILD).is_dir()


def test_publishing_leaves_the_store_alone(tmp_path: Path, info: StoreInfo) -> None:
    store = tmp_path / "s.zarr"
    begin(store, info, pytest.fail)
    (store / "image" / "0.__lock").touch()
    (store / ".x.partial").touch()
    (store / PENDING).write_text("{}")
    assert publish(store)
    assert (store / ROOT).read_text() == "{}"
    assert not [path for path in store.rglob("*") if path.name == BUILD or path.name.endswith(("__lock", ".partial"))]


def test_discarding_removes_all_of_it(tmp_path: Path, info: StoreInfo) -> None:
    begin(tmp_path / "s.zarr", info, pytest.fail)
    discard(tmp_path / "s.zarr")
    assert not (tmp_path / "s.zarr").exists()
    discard(tmp_path / "s.zarr")
