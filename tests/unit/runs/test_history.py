from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.model.runs.history import COLUMNS, Row, best_epoch, read, selected_epoch, table, write
from cropcam.pipeline.errors import DataError


def rows(*losses: float) -> list[Row]:
    return [Row(epoch, 0.5, 0.25, loss, 1 / 3, 0.1, 1.234, 99.9, 0.25) for epoch, loss in enumerate(losses, 1)]


@given(losses=st.lists(st.floats(0, 1e9), min_size=1, max_size=9))
@settings(max_examples=30, deadline=None)
def test_reads_back_to_the_last_bit(losses: list[float], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "history.csv"
    write(path, rows(*losses))
    assert read(path, len(losses)) == rows(*losses)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)


def test_an_epoch_cut_short_does_not_count(tmp_path: Path) -> None:
    write(tmp_path / "history.csv", rows(3, 2, 1))
    assert read(tmp_path / "history.csv", 2) == rows(3, 2)


def test_best_is_the_earliest_of_equals() -> None:
    assert best_epoch(rows(3, 1, 2, 1)) == 2
    assert selected_epoch(rows(3, 1, 2, 1), newest=False) == 2
    assert selected_epoch(rows(3, 1, 2, 1), newest=True) == 4


@pytest.mark.parametrize("text", ["", "epoch\n1\n", ",".join(COLUMNS) + "\n" + "x," * 8 + "1\n"])
def test_damaged(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"history\.csv: cannot be read as a history \(.+\); train into another folder"):
        read(path, 1)


def test_too_short(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    write(path, rows(3, 2))
    with pytest.raises(DataError, match=r"does not hold epochs 1 to 3, which the checkpoint has"):
        read(path, 3)
    with pytest.raises(DataError, match=r"none\.csv: no such file; train into another folder"):
        read(tmp_path / "none.csv", 3)
    path.write_text(path.read_text() + "3" + ",1" * 7 + ",inf\n")
    with pytest.raises(DataError, match=r"cannot be read as a history \(a number is missing or not finite"):
        read(path, 2)


def test_an_epoch_beyond_any_takes_no_memory(tmp_path: Path) -> None:
    write(tmp_path / "history.csv", rows(3, 2))
    with pytest.raises(DataError, match=r"does not hold epochs 1 to 100000000000000000000, which the checkpoint has"):
        read(tmp_path / "history.csv", 10**20)


def test_a_table_of_an_earlier_version(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,validation_loss,notes\n1,0.5,x\n")
    assert table(path).to_dict("records") == [{"epoch": 1, "validation_loss": 0.5}]
    path.write_text("epoch,validation_loss\n")
    with pytest.raises(DataError, match=r"history\.csv: holds no epoch; train the run first"):
        table(path)
