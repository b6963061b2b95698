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
from cropcam.pipeline.errors import ConfigError, DataError, EarthEngineError
from cropcam.pipeline.grid import Window
from cropcam.pipeline.study.study import load_study
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
@given(
    bands=st.integers(1, 400),
    dtype=st.sampled_from(["uint8", "uint16", "float32"]),
    name=st.sampled_from(["image", "labels"]),
    tiles=st.integers(1, 40),
)
def test_default_windows_keep_every_limit(bands: int, dtype: str, name: str, tiles: int) -> None:
    layer, shard_px = Layer(name, tuple(f"b{n}" for n in range(bands)), dtype), 256 * tiles
    side = windows.window_px_for(layer, shard_px)
    assert side % 256 == 0
    assert shard_px % side == 0
    assert side <= (512 if name == "image" else 4096)
    if side > 256:
        assert windows.request_bytes(layer, side, side) <= 48_000_000
        assert side * side * bands * 8 <= 83_886_080
        windows.check_window_px(layer, side)


def test_labels_have_the_largest_windows_and_an_image_modest_ones() -> None:
    image, labels = layers_of(load_study("corn-belt-2016"))
    weighted = Layer("labels", ("cropland", "weight"), "uint8")
    assert [windows.window_px_for(layer, 8192) for layer in (image, labels, weighted)] == [512, 2048, 2048]
    assert [windows.window_px_for(layer, 768) for layer in (image, labels)] == [256, 768]
    vectors = Layer("image", tuple(f"A{n:02d}" for n in range(64)), "float32")
    assert windows.window_px_for(vectors, 8192) == 256
    assert windows.request_bytes(IMAGE, 512, 512) == 512 * 512 * 21
    with pytest.raises(
        ConfigError, match=r"--window-px 1280: a request of image is computed as 87\.5 MiB of 8 bytes a value; the limit is 80 MiB"
    ):
        windows.check_window_px(IMAGE, 1280)
    windows.check_window_px(Layer("image", tuple(f"b{n}" for n in range(180)), "uint16"), 256)  # in parts, if need be


def shapes(service: Pixels, layer: str) -> list[int]:
    """The longer side of each request of a layer's windows."""
    return [max(shape) for name, shape in service.asked if name.startswith(f"{layer} ")]


def test_a_layer_that_is_too_large_costs_two_windows_and_a_resumed_run_knows(tmp_path: Path) -> None:
    study = small(bands=["SR_B4"])
    deliver(study, Pixels(study), tmp_path / "whole", window_px=256)
    service, lines = Pixels(study, largest_px=130), []
    deliver(study, service, tmp_path / "parts", window_px=256, workers=40, log=lines.append)
    assert bytes_of(tmp_path / "parts") == bytes_of(tmp_path / "whole")
    for layer in ("image", "labels"):
        assert sum(side > 130 for side in shapes(service, layer)) == 2
        assert f"{layer}: two requests were too large for the service; from now on they have 128 px" in lines
    service = Pixels(study, largest_px=130)
    service.orders[:] = [None] * 9 + [ServiceError("no", "refused")]
    with pytest.raises(EarthEngineError, match="no"):
        deliver(study, service, tmp_path / "cut", window_px=256, workers=1)
    assert sum(side > 130 for side in shapes(service, "image")) == 2
    assert json.loads((tmp_path / "cut/.windows/sides.json").read_text()) == {"image": 128}
    service.asked.clear()
    deliver(study, service, tmp_path / "cut", window_px=256, workers=1)
    assert sum(side > 130 for side in shapes(service, "image")) == 0
    assert bytes_of(tmp_path / "cut") == bytes_of(tmp_path / "whole")


@given(st.integers(1, 12), st.integers(0, 3), st.sampled_from([("uint16", 0), ("uint8", 255), ("float32", -9999.0)]))
def test_a_window_without_data_has_the_nodata_value_of_each_band(valued: int, zeros: int, kind: tuple[str, float]) -> None:
    layer = Layer("image", tuple(f"b{number}" for number in range(valued + zeros)), kind[0], kind[1], zeros)
    empty = windows.empty_pixels(layer, Window(3, 4, 5, 2))
    assert empty.shape == (5, 2)
    assert [set(empty[band].ravel().tolist()) for band in layer.bands] == [{value} for value in layer.empty]


def test_damaged_sides_are_learned_anew(tmp_path: Path) -> None:
    journal = windows.Journal(tmp_path)
    journal.keep_side("image", 256)
    journal.keep_side("labels", 64)
    assert journal.sides_px() == {"image": 256, "labels": 64}
    for text in ("{", "[]", '{"image": null}'):
        (tmp_path / "sides.json").write_text(text)
        assert journal.sides_px() == {}


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
