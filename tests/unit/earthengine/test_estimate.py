"""Estimates: which windows, how profiles are read, scaling, windows that are too much, the text."""

from __future__ import annotations

import ee
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropcam.pipeline.earthengine.estimate import Estimate, LayerEstimate, Sample, estimate
from cropcam.pipeline.errors import EarthEngineError
from cropcam.pipeline.grid import PixelGrid
from support.graph_studies import variant
from support.pixel_service import small
from support.profiled_service import Profiled

pytestmark = pytest.mark.usefixtures("transport")


def test_layers_are_scaled_by_their_pixels() -> None:
    service, seen = Profiled(), []
    study = variant(area={"bounds": [-90.5, 40.8, -90.0, 41.2]})
    made = estimate(study, service, {"image": 3_600_000, "labels": 36_000_000}, progress=lambda *step: seen.append(step))
    assert [(layer.layer, len(layer.samples)) for layer in made.layers] == [("image", 3), ("labels", 3)]
    assert [layer.hours for layer in made.layers] == pytest.approx([1.0, 0.1], rel=1e-3)
    assert made.layers[0].range_hours == pytest.approx((1.0, 1.0))
    # what it used itself: the windows, and before them the checks of the inputs, of half a second each
    assert 3 * 65.536 * 1.01 + 0.5 - 1e-2 <= made.own_eecu_s <= 3 * 65.536 * 1.01 + 3
    assert seen[-1] == (6, 6, "labels")


def test_a_kept_composite_is_measured_as_it_is_read() -> None:
    asked = []

    def images(layer: str, grid: PixelGrid | None) -> ee.Image:
        asked.append((layer, grid))
        return ee.Image(0)

    service, study = Profiled(), small()
    estimate(study, service, {"image": 1, "labels": 1}, images=images)
    assert [layer for layer, _ in asked] == ["image"] * 2 + ["labels"] * 2
    assert {grid.shape_yx for _, grid in asked if grid} == {(256, 256)}
    assert [layer.layer for layer in estimate(study, service, {"image": 1}).layers] == ["image"]  # an export to an asset


def test_windows_that_are_too_much_are_halved_and_the_smaller_side_is_kept() -> None:
    service = Profiled(largest_px=100)
    study = small()
    made = estimate(study, service, {"image": 1_000, "labels": 1_000})
    sides = [shape for what, shape in service.asked if what.startswith("image")]
    assert sides[:3] == [(256, 256), (128, 128), (64, 64)]
    assert set(sides[3:]) <= {(64, 64)}
    assert made.layers[0].samples[0] == Sample(64 * 64, pytest.approx(4.096))
    assert made.own_eecu_s > 65 + 16 + 4  # refused windows were not free
    with pytest.raises(EarthEngineError, match="User memory limit exceeded"):
        estimate(study, Profiled(largest_px=20), {"image": 1, "labels": 1})


def test_without_profiles_nothing_is_estimated() -> None:
    with pytest.raises(EarthEngineError, match=r"image at row 0, column \d+: the service returned no profile"):
        estimate(small(), Profiled(is_profiling=False), {"image": 1, "labels": 1})


def test_a_profile_that_is_late_is_asked_for_again() -> None:
    assert estimate(small(), Profiled(broken=4), {"image": 1_000, "labels": 1_000}).hours > 0
    with pytest.raises(EarthEngineError, match="not ready"):
        estimate(small(), Profiled(broken=5), {"image": 1_000, "labels": 1_000})


SAMPLES = st.lists(st.builds(Sample, st.integers(1, 65_536), st.integers(0, 1_000_000).map(float)), min_size=1, max_size=5)


@given(SAMPLES, st.integers(1, 10**9), st.integers(1, 1_000))
def test_an_estimate_grows_with_pixels_and_lies_between_its_windows(samples: list[Sample], pixels: int, times: int) -> None:
    one, many = (LayerEstimate("image", count, tuple(samples)) for count in (pixels, pixels * times))
    low, high = one.range_hours
    assert low * (1 - 1e-9) <= one.hours <= high * (1 + 1e-9)
    assert many.hours == pytest.approx(one.hours * times)


def test_the_text_has_a_line_a_layer_and_its_share_of_each_tier() -> None:
    layers = (
        LayerEstimate("image", 65_536_000, (Sample(65_536, 90.0), Sample(65_536, 150.0), Sample(65_536, 120.0))),
        LayerEstimate("labels", 65_536_000, (Sample(65_536, 0.0),)),
    )
    lines = Estimate(layers, 720.0).text().splitlines()
    assert [line.split("  ")[0].strip() for line in lines[:4]] == ["layer", "image", "labels", "together"]
    assert lines[1].split() == ["image", "33.3", "25.0", "to", "41.7", "22.2", "%", "3.3", "%", "0.03", "%"]
    assert len({len(line) for line in lines[:4]}) == 1
    assert lines[4] == "labels: nothing was computed anew, the service had these windows in its cache"
    assert "from 3 windows a layer, scaled up by pixels; the estimate itself used 0.2000 EECU-hours" in lines
    assert lines[-1].endswith("no estimate has been compared with a bill yet")
    assert np.isclose(Estimate(layers, 0).hours, layers[0].hours)
