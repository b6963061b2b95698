"""Windows of pixels: within the limits, in quarters, checked, kept until a shard is whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropcam.pipeline.earthengine import pixel_requests as windows
from cropcam.pipeline.earthengine.delivery import deliver
from cropcam.pipeline.earthengine.error_messages import ServiceError
from cropcam.pipeline.earthengine.layers import Layer, layers_of
from cropcam.pipeline.errors import DataError, EarthEngineError
from cropcam.pipeline.grid import Window
from support.pixel_service import Pixels, bytes_of, small

IMAGE = Layer("image", tuple(f"SR_B{n}" for n in range(1, 8)), "uint16")


pytestmark = pytest.mark.usefixtures("transport")


def test_windows_too_much_for_one_request_are_asked_for_in_quarters(tmp_path: Path) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "whole")
    service = Pixels(study, largest_px=100)
    deliver(study, service, tmp_path / "quarters")
    assert bytes_of(tmp_path / "quarters") == bytes_of(tmp_path / "whole")
    with pytest.raises(EarthEngineError, match="image at row 0, column 0: User memory limit exceeded"):
        deliver(study, Pixels(study, largest_px=5), tmp_path / "hopeless")


def test_pixels_of_another_type_or_other_bands_are_refused(tmp_path: Path) -> None:
    study = small()
    service = Pixels(study)
    service.__dict__["bands"] = ("SR_B4", "SR_B6")
    with pytest.raises(EarthEngineError, match=r"expected uint16 in bands SR_B4, SR_B5"):
        deliver(study, service, tmp_path)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.sampled_from(["uint8", "uint16"]), st.sampled_from([256, 512, 1024, 4096]))
def test_default_windows_keep_every_limit(bands: int, dtype: str, wanted: int) -> None:
    layer = Layer("image", tuple(f"b{n}" for n in range(bands)), dtype)
    side = windows.window_px_for(layer, wanted)
    assert side % 256 == 0
    assert side <= wanted
    if side > 256:
        assert windows.request_bytes(layer, side, side) <= windows.REQUEST_BYTES_LIMIT
    if side < wanted:
        assert windows.request_bytes(layer, side + 256, side + 256) > windows.REQUEST_BYTES_LIMIT
    assert windows.request_bytes(IMAGE, 512, 512) == 512 * 512 * 21


def test_a_journal_reads_back_what_it_kept(tmp_path: Path) -> None:
    layer, window = layers_of(small())[1], Window(3, 4, 5, 6)
    journal = windows.Journal(tmp_path / "journal")
    journal.open({"graphs": {}, "lattice": 1, "study": {}})
    assert not journal.has(layer, window)
    pixels = np.zeros((5, 6), [("cropland", "u1")])
    journal.keep(layer, window, pixels)
    assert np.array_equal(journal.read(layer, window), pixels)
    with pytest.raises(DataError, match=r"holds \(5, 6\)"):
        journal.read(layer, Window(3, 4, 6, 6))
    assert json.loads((tmp_path / "journal/journal.json").read_text())["lattice"] == 1
    journal.drop(layer, window)
    assert not journal.has(layer, window)


def test_windows_that_are_not_whole_are_fetched_again(tmp_path: Path) -> None:
    study = small()
    deliver(study, Pixels(study), tmp_path / "calm", window_px=256)
    service = Pixels(study)
    service.orders[:] = [None] * 5 + [ServiceError("no", "refused")]
    with pytest.raises(EarthEngineError, match="no"):
        deliver(study, service, tmp_path / "cut", window_px=256, workers=1)
    first, second = sorted((tmp_path / "cut/.windows").glob("*.npy"))[:2]
    first.write_bytes(first.read_bytes()[:1000])
    second.write_bytes(b"")
    deliver(study, service, tmp_path / "cut", window_px=256, workers=1)
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "calm")
