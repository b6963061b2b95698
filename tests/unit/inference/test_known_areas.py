"""Known class areas: from numbers, from a file, and the shift to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely

from cropcam.model.inference.known_areas import KnownAreas, shift_to
from cropcam.model.inference.predictor import Predictor
from cropcam.model.inference.survey import Survey, log_probabilities
from cropcam.model.segmentation.methods import Method, unfitted
from cropcam.pipeline.errors import ConfigError, DataError
from support.map_runs import as_trained, make_config, random_dn
from support.memory_source import LEGEND, Memory, make_grid
from support.vectors import write_vectors

GRID = make_grid(100, 200)
CONFIG = make_config(16, model="fcn")
PREDICTOR = Predictor(CONFIG, as_trained(CONFIG).state_dict(), unfitted([0.0] * len(LEGEND))["cam-argmax"], "cpu")


def test_numbers_in_any_unit_are_shares() -> None:
    known = KnownAreas.of_prior((10, 20, 30, 40, 0), LEGEND)
    assert known.share_K == pytest.approx((0.1, 0.2, 0.3, 0.4, 0))
    assert (known.origin, known.path) == ("--class-prior", None)


@pytest.mark.parametrize(
    ("prior", "message"),
    [
        ((0.5, 0.5), r"--class-prior has 2 shares, the run has 5 classes: background, corn, soybean, forest, grassland"),
        ((0.5, 0.5, -0.1, 0.1, 0), r"--class-prior 0\.5,0\.5,-0\.1,0\.1,0: give areas or shares of 0 or more, not all 0"),
        ((0, 0, 0, 0, 0), r"--class-prior 0,0,0,0,0: give areas or shares of 0 or more, not all 0"),
        ((1, float("nan"), 0, 0, 0), r"--class-prior 1,nan,0,0,0: give areas"),
        ((1, float("inf"), 0, 0, 0), r"--class-prior 1,inf,0,0,0: give areas"),
    ],
)
def test_numbers_that_are_no_shares(prior: tuple[float, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        KnownAreas.of_prior(prior, LEGEND)
    assert "\n" not in str(caught.value)


def box(left: float, right: float, top: float = 0, bottom: float = 100) -> shapely.Polygon:
    """Columns and rows of the grid as a polygon."""
    a, _, c, _, e, f = GRID.transform
    return shapely.box(c + a * left, f + e * bottom, c + a * right, f + e * top)


def write_areas(path: Path, shapes: list[shapely.Polygon], shares: list[tuple[float, ...]], to_crs: str = "EPSG:4326") -> Path:
    columns = {name: [share[index] for share in shares] for index, name in enumerate(LEGEND.names)}
    write_vectors(path, shapes, columns, GRID.crs, to_crs)
    return path


@pytest.mark.parametrize(("name", "crs"), [("areas.geojson", "EPSG:4326"), ("areas.gpkg", "EPSG:5070"), ("areas.parquet", "EPSG:32615")])
def test_polygons_count_by_their_area_on_the_raster(tmp_path: Path, name: str, crs: str) -> None:
    """A quarter of the raster under the first, half under the second, of which as much lies outside; one is elsewhere."""
    shapes = [box(0, 50), box(100, 300), box(1000, 1100)]
    path = write_areas(tmp_path / name, shapes, [(1, 1, 0, 0, 0), (0, 0, 3, 1, 0), (0, 0, 0, 0, 1)], crs)
    known = KnownAreas.of_file(path, LEGEND, GRID)
    expected = (np.array([0.5, 0.5, 0, 0, 0]) + 2 * np.array([0, 0, 0.75, 0.25, 0])) / 3
    np.testing.assert_allclose(known.share_K, expected, atol=2e-4)
    assert (known.origin, known.path) == (name, path)


def test_polygons_elsewhere_are_refused(tmp_path: Path) -> None:
    path = write_areas(tmp_path / "areas.geojson", [box(1000, 1100)], [(1, 1, 1, 1, 1)])
    with pytest.raises(
        DataError, match=r"areas\.geojson: no polygon meets the raster, which lies at .* in EPSG:32616; give areas of the same place"
    ):
        KnownAreas.of_file(path, LEGEND, GRID)


def test_an_absent_file_is_named_with_its_option(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--areas .*nix\.gpkg: no such file; give a vector file of polygons"):
        KnownAreas.of_file(tmp_path / "nix.gpkg", LEGEND, GRID)


def test_a_shift_meets_the_known_shares() -> None:
    survey = Survey(Memory(random_dn(np.random.default_rng(0), 64, 96, 0.3)), 16)
    lines: list[str] = []
    target = np.array([0.4, 0.3, 0.2, 0.1, 0.0])
    offset_K = shift_to(KnownAreas(tuple(target), "areas.geojson"), survey, PREDICTOR, lines.append)
    shifted = log_probabilities(survey, PREDICTOR) + np.array(offset_K)
    share = np.exp(shifted - np.logaddexp.reduce(shifted, axis=1)[:, None])
    np.testing.assert_allclose(share.mean(axis=0), target, atol=1e-3)
    assert offset_K[4] == float("-inf")
    assert lines == []
    assert (
        shift_to(KnownAreas(tuple(target), "areas.geojson"), survey, PREDICTOR, lines.append) == offset_K
    )  # a map that goes on has the same


def test_shares_out_of_reach_are_one_line() -> None:
    sure = replace(PREDICTOR, method=Method("cam-argmax", (0.001,) * 5, (0.0, -500.0, -500.0, -500.0, -500.0)))
    lines: list[str] = []
    survey = Survey(Memory(random_dn(np.random.default_rng(0), 16, 16)), 16)
    shift_to(KnownAreas((0.5, 0.5, 0, 0, 0), "areas.geojson"), survey, sure, lines.append)
    [line] = lines
    assert line == (
        "warning: areas.geojson: the network's probabilities cannot be shifted to 50.0%, 50.0%, 0.0%, 0.0%, 0.0%; "
        "mean probabilities are 100.0%, 0.0%, 0.0%, 0.0%, 0.0%"
    )


def test_nothing_to_shift_is_one_line() -> None:
    survey = Survey(Memory(np.zeros((3, 40, 40), np.uint16)), 16)
    with pytest.raises(DataError, match=r"memory\.tif: no pixel with data to shift to areas\.geojson; map it without"):
        shift_to(KnownAreas((0.2,) * 5, "areas.geojson"), survey, PREDICTOR, print)
