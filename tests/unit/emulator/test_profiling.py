"""Profiles: counting, the table, and ids that the unmodified client finds in a response's header."""

from __future__ import annotations

import io
import re
from pathlib import Path

import ee
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.session import open_session
from cropcam.pipeline.emulator import serve
from cropcam.pipeline.emulator.block_reader import Block
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.profiling import PLUMBING, Entry, Profile, Profiles, table
from cropcam.pipeline.grid import Window
from support import scenes

ENTRIES = st.lists(
    st.builds(Entry, st.sampled_from(["a", "b", "c d"]), st.integers(0, 9_000).map(lambda n: n / 1_000), st.integers(0, 10**9), st.just(1))
)


def rows(text: str) -> list[list[str]]:
    return [line.split(None, 3) for line in text.splitlines()[1:]]


def test_the_table_has_the_columns_that_the_service_prints() -> None:
    entries = [
        Entry("Algorithm Image.reduceRegions", 0.280, 59_400, 6),
        Entry("no description available", 0.044, 1_040_000, 86),
        Entry("Computing", 12.5, 352, 3),
    ]
    assert table([*entries, Entry(PLUMBING, 0.0, 0, 951)]).splitlines() == [
        " EECU·s PeakMem Count  Description",
        " 12.500     352     3  Computing",
        "  0.280     59k     6  Algorithm Image.reduceRegions",
        "  0.044    1.0M    86  no description available",
        "      -       -   951  (plumbing)",
    ]


@given(ENTRIES, st.integers(1, 4))
def test_merged_rows_keep_sum_and_count(entries: list[Entry], most: int) -> None:
    found = rows(table(entries, most))
    assert len(found) <= most
    assert sum(0 if row[0] == "-" else float(row[0]) for row in found) == pytest.approx(sum(entry.eecu_s for entry in entries), abs=2e-3)
    assert sum(int(row[2]) for row in found) == len(entries)


def test_blocks_pass_and_are_counted() -> None:
    block = Block(Window(0, 0, 2, 3), np.zeros((1, 2, 3), np.uint16), np.ones((1, 2, 3), bool), 0.25)
    profile = Profile()
    assert list(profile.blocks([block, block], "pixels")) == [block, block]
    assert profile.entries == [Entry("pixels", 0.25, 18, 1)] * 2


def test_a_computation_that_fails_is_counted_too() -> None:
    profile = Profile()
    with pytest.raises(EngineError, match="no"), profile.counting("part"):
        raise EngineError("no")
    assert [entry.description for entry in profile.entries] == ["part"]


def test_the_oldest_profiles_are_forgotten() -> None:
    profiles, profile = Profiles(kept=2), Profile()
    profile.add("x", 1.0)
    names = [profiles.keep(profile) for _ in range(3)]
    assert rows(profiles.text(names[1:])) == [["2.000", "-", "2", "x"]]
    with pytest.raises(EngineError, match="not found") as refused:
        profiles.text(names)
    assert refused.value.status == "NOT_FOUND"


def test_the_clients_own_profile_has_values_and_pixels(archive: Path) -> None:
    study, out = scenes.study(), io.StringIO()
    with serve(archive) as server:
        session = open_session("p", server.url)
        with ee.profilePrinting(destination=out):
            assert ee.Number(1).add(2).getInfo() == 3
            session.pixels(graph(study, "image"), study.grid, "pixels")
            with pytest.raises(ServiceError, match="not found"):
                session.value(ee.Image("NO/SUCH"), "value")
        seconds = {row[3]: row[0] for row in rows(out.getvalue())}
        ids: list[str] = []
        session.value(ee.Number(1), "value")  # without the hook no profile is kept
        with ee.data.profiling(ids.append):
            session.operations()  # costs nothing, so it has none either
        ee.Reset()
    assert set(seconds) == {"Computing a value", "Computing pixels", PLUMBING}
    assert re.fullmatch(r"\d+\.\d{3}", seconds["Computing pixels"])
    assert float(seconds["Computing pixels"]) > 0
    assert ids == []
