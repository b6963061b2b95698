from __future__ import annotations

import datetime

from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.fetch.remote import RemoteFile
from cropcam.pipeline.fetch.sets import Choice, Shard, choose
from cropcam.pipeline.grid import Window, tiles

SHAPE = (100, 90)
DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def shard(place: Window, time_s: float, content: str = "", name: str = "", task: str = "t") -> Shard:
    name = name or f"demo-image-{place.row}-{place.col}.tif"
    modified = DAY + datetime.timedelta(seconds=time_s)
    return Shard(RemoteFile(name, f"{name}{time_s}", "v", 1, f"md5:{content or name}", modified, "folder", "url"), "image", task, place)


def cells(side: int, start_s: float, content: str = "") -> list[Shard]:
    return [
        shard(Window(*cell), start_s + number, content, f"demo-image-{side}-{number}.tif")
        for number, cell in enumerate(tiles(SHAPE, (side, side)))
    ]


def chosen(*shards: Shard, **options: object) -> Choice:
    return choose("image", shards, SHAPE, **options)  # type: ignore[arg-type]


def test_one_whole_set_is_taken_without_a_word() -> None:
    made = cells(40, 0)
    found = chosen(*reversed(made))
    assert sorted(found.shards, key=lambda one: one.place) == sorted(made, key=lambda one: one.place)
    assert (found.missing, found.conflict, found.notes) == ("", "", [])


def test_the_newer_of_two_complete_sets_is_taken_and_the_other_named() -> None:
    old, new = cells(40, 0, "old"), cells(50, 1000, "new")
    found = chosen(*old, *new)
    assert found.shards == new
    assert "until 2026-01-01 00:16:43 UTC, is fetched; demo-image-40-0.tif" in found.notes[0]


def test_a_newer_set_that_is_not_complete_gives_way_to_the_older() -> None:
    old, new = cells(40, 0, "old"), cells(40, 1000, "new")
    found = chosen(*old, *new[:3])
    assert found.shards == old
    assert found.notes[0].startswith("image: the newest set that is complete")
    assert found.newer == "demo-image-40-0.tif, demo-image-40-1.tif, demo-image-40-2.tif"
    assert chosen(*old, *new).newer == chosen(*old, *new[:3], retried={"t"}).newer == ""


def test_copies_with_the_same_bytes_count_once() -> None:
    old = cells(40, 0)
    found = chosen(*old, *cells(40, 1000))
    assert len(found.shards) == len(old)
    assert found.notes == [f"image: {len(old)} files lie there twice, with the same bytes; one of each is fetched"]


def test_a_new_set_whose_bytes_differ_in_one_cell_alone_is_whole_with_its_copies() -> None:
    old = cells(40, 0)
    new = [*cells(40, 1000)[:4], shard(old[4].place, 1004, "other", old[4].file.name), *cells(40, 1000)[5:]]
    assert {one.file.modified for one in chosen(*old, *new).shards} == {one.file.modified for one in new}


def test_a_part_is_taken_with_what_is_missing() -> None:
    found = chosen(*cells(40, 0)[1:])
    assert len(found.shards) == 8
    assert found.missing == "image: 1,600 of 9,000 pixels lie in no file (rows 0..40, columns 0..40)"
    assert chosen().missing == "image: 9,000 of 9,000 pixels lie in no file (rows 0..100, columns 0..90)"


def test_two_halves_that_lie_over_each_other_are_refused_unless_tasks_were_retried() -> None:
    first, second = cells(40, 0, "old")[:6], cells(40, 1000, "new")[4:]
    found = chosen(*first, *second)
    assert (found.shards, found.newer, found.notes) == ([], "", [])
    assert found.conflict.startswith(
        "image: files of 2 exports lie over each other, and none of these is complete: demo-image-40-5.tif of 2026-"
    )
    again = chosen(*first, *second, retried={"t"})
    assert {one.file.digest for one in again.shards if one.place == first[4].place} == {"md5:new"}
    assert not again.missing
    assert "earlier attempts" in again.notes[0]


def test_what_no_task_exports_is_not_missing() -> None:
    made = cells(40, 0)
    assert not chosen(*made[1:], is_needed=lambda gap: gap.row > 0).missing
    assert chosen(*made[:-1], is_needed=lambda gap: gap.row > 0).missing


@given(st.permutations(range(9)), st.integers(0, 8))
def test_a_complete_set_is_found_whatever_the_order_and_the_leftovers(order: list[int], kept: int) -> None:
    old, new = cells(40, 0, "old")[:kept], cells(40, 1000, "new")
    found = chosen(*(new[number] for number in order), *old)
    assert sorted(one.file.key for one in found.shards) == sorted(one.file.key for one in new)
