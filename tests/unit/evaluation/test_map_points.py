"""A map against points: counts by hand, metrics by scikit-learn, cells and intervals; and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from cropcam.model.evaluation import map_points
from cropcam.model.evaluation.map_points import NOT_BY_DESIGN, cells, evaluate_map, point_notes
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from support.maps import retag, write_map
from support.memory_source import LEGEND, make_grid
from support.points import grid_xy, write_points

SIDE = 64
COARSE = PixelGrid("EPSG:32616", (1000.0, 0.0, 500_000.0, 0.0, -1000.0, 4_500_000.0), SIDE, SIDE)  # 64 x 64 km: many cells


@pytest.fixture(scope="module")
def classes() -> np.ndarray:
    values = np.random.default_rng(0).integers(0, 4, (SIDE, SIDE), dtype=np.uint8)  # no grassland
    values[:8] = 255
    return values


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, classes: np.ndarray) -> Path:
    return write_map(tmp_path_factory.mktemp("points") / "map.tif", classes, grid=COARSE)


@pytest.fixture(scope="module")
def sample(classes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """300 different pixels (row, col) and a class for each, that of the map in two of three."""
    random = np.random.default_rng(1)
    row, col = np.divmod(random.choice(SIDE * SIDE, 300, replace=False), SIDE)
    truth = np.where(random.random(300) < 2 / 3, classes[row, col] % 255, random.integers(0, 4, 300))
    return row, col, truth


@pytest.fixture(scope="module")
def scores(made: Path, sample: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    row, col, truth = sample
    file = tmp_path_factory.mktemp("file") / "p.csv"
    x, y = grid_xy(COARSE, row + 0.3, col + 0.6)
    names = [LEGEND.names[index] for index in truth]
    # one outside, and the first mapped point a second time
    twice = int(np.flatnonzero(row >= 8)[0])
    write_points(file, [*x, 0.0, x[twice]], [*y, 0.0, y[twice]], [*names, "corn", names[twice]])
    return evaluate_map(made, file)


def test_every_point_is_counted_once(scores: dict[str, Any], made: Path, sample: Any) -> None:
    row, _, truth = sample
    points = scores["points"]
    assert (points["read"], points["outside"], points["doubled"]) == (302, 1, 1)
    assert points["nodata"] == (row < 8).sum() > 0
    assert points["used"] == (row >= 8).sum()
    assert list(points["per_class"].values()) == np.bincount(truth[row >= 8], minlength=5).tolist()
    assert points["notes"] == ["1 of its points lie in a pixel of another one of the same class and count once"]
    assert scores["map"] == {
        "path": str(made),
        "crs": "EPSG:32616",
        "classes": list(LEGEND.names),
        "tags": {"TIFFTAG_SOFTWARE": "cropcam 0", "study": "made-up", "seed": "3"},
    }


def test_the_metrics_are_those_of_scikit_learn(scores: dict[str, Any], classes: np.ndarray, sample: Any) -> None:
    row, col, truth = sample
    keep = row >= 8
    truth, mapped = truth[keep], classes[row, col][keep]
    np.testing.assert_array_equal(scores["confusion"], oracle.confusion_matrix(truth, mapped, labels=range(5)))
    assert scores["pixel_accuracy"] == pytest.approx(oracle.accuracy_score(truth, mapped))
    assert scores["macro_f1"] == pytest.approx(oracle.f1_score(truth, mapped, average="macro"))
    assert scores["mean_iou"] == pytest.approx(oracle.jaccard_score(truth, mapped, average="macro"))
    assert scores["mean_class_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(truth, mapped))
    users, producers, f1, _ = oracle.precision_recall_fscore_support(truth, mapped, labels=range(4))
    for index, name in enumerate(LEGEND.names[:4]):
        entry = scores["per_class"][name]
        assert (entry["precision"], entry["accuracy"], entry["f1"]) == pytest.approx((users[index], producers[index], f1[index]))
    assert scores["majority_accuracy"] == pytest.approx(np.bincount(truth).max() / truth.size)
    assert scores["majority"]["class"] == LEGEND.names[np.bincount(truth).argmax()]
    assert scores["per_class"]["grassland"]["f1"] is None


def test_intervals_come_from_cells_and_contain_the_metric(scores: dict[str, Any]) -> None:
    made = scores["intervals"]
    assert (made["cell_km"], made["resamples"], "note" in made) == (10.0, 1000, False)
    assert 36 <= made["blocks"] <= 64
    for key in ("pixel_accuracy", "macro_f1", "mean_iou", "mean_class_accuracy", "majority_accuracy"):
        low, high = scores[f"{key}_ci95"]
        assert low < scores[key] < high, key
    # about as wide as for independent points: this map is noise, its errors do not depend on the place
    low, high = scores["pixel_accuracy_ci95"]
    value, count = scores["pixel_accuracy"], scores["points"]["used"]
    assert high - low == pytest.approx(2 * 1.96 * (value * (1 - value) / count) ** 0.5, rel=0.35)


def test_points_in_a_cluster_count_as_one(made: Path, classes: np.ndarray, tmp_path: Path) -> None:
    """Two clusters of many points: an interval of drawn points would be narrow, that of drawn cells is all there is between them."""
    row, col = np.divmod(np.arange(64), 8)
    places = [(row + 8, col, classes[row + 8, col]), (row + 48, col + 48, (classes[row + 48, col + 48] + 1) % 4)]
    x, y, names = [], [], []
    for rows, cols, truth in places:
        some = slice(0, 8)  # within one row of a cell
        xs, ys = grid_xy(COARSE, rows[some] + 0.5, cols[some] + 0.5)
        x, y, names = [*x, *xs], [*y, *ys], [*names, *(LEGEND.names[index] for index in truth[some])]
    found = evaluate_map(made, write_points(tmp_path / "p.csv", x, y, names))
    assert found["pixel_accuracy"] == 0.5
    assert found["pixel_accuracy_ci95"] == [0.0, 1.0]
    assert found["intervals"]["note"] == "fewer than 20 cells: intervals are too narrow"
    one = evaluate_map(made, write_points(tmp_path / "q.csv", x[:1], y[:1], names[:1]))
    assert one["pixel_accuracy_ci95"] is None
    assert one["intervals"]["note"] == "one cell: no interval can be given; give points that are farther apart"


@given(st.floats(-170, 170), st.floats(-80, 80), st.floats(0, 20_000), st.floats(0, 360))
def test_cells_are_10_km(lon: float, lat: float, metres: float, bearing: float) -> None:
    """Points of one cell are at most its diagonal apart, and points farther apart than that never share one."""
    north, east = metres * np.cos(np.radians(bearing)), metres * np.sin(np.radians(bearing))
    other = lon + east / (111_319.490793 * np.cos(np.radians(lat))), lat + north / 111_319.490793
    cell = cells(np.array([lon, other[0]]), np.array([lat, other[1]]))
    if metres > 14_500:
        assert cell[0] != cell[1]
    assert cell.min() == 0


def test_a_cell_holds_all_points_of_its_place() -> None:
    lon, lat = np.meshgrid(np.linspace(-93, -92, 200), np.linspace(41, 42, 200))
    count = len(np.unique(cells(lon.ravel(), lat.ravel())))
    area_km2 = 111.32**2 * np.cos(np.radians(41.5))
    assert count == pytest.approx(area_km2 / 100, rel=0.25)  # those at the edge are cut


def test_notes_say_what_is_lost_and_what_such_figures_are(scores: dict[str, Any]) -> None:
    notes = point_notes(scores)
    assert notes[-1] == NOT_BY_DESIGN
    nodata = scores["points"]["nodata"]
    assert notes[0].endswith("p.csv: 1 of its points lie in a pixel of another one of the same class and count once.")
    assert notes[1:-1] == [
        "1 of 302 points lie outside the map and are not scored.",
        f"{nodata} of 302 points lie where the map is nodata and are not scored.",
        "No point has the class grassland: accuracies, F1 and IoU of it are undefined and no part of the means.",
    ]


def test_few_points_of_a_class_have_a_note(made: Path, tmp_path: Path) -> None:
    x, y = grid_xy(COARSE, np.arange(20, 23) + 0.5, np.arange(3) + 0.5)
    found = evaluate_map(made, write_points(tmp_path / "p.csv", x, y, ["corn", "corn", "forest"]))
    assert "Fewer than 10 points have the class corn (2) and forest (1)." in point_notes(found)


def test_codes_and_names_of_the_legend_work_where_the_map_has_them(made: Path, classes: np.ndarray, tmp_path: Path) -> None:
    x, y = grid_xy(COARSE, np.arange(20, 24) + 0.5, np.arange(4) + 0.5)
    coded = write_points(tmp_path / "coded.csv", x, y, ["1", "5.0", "Deciduous Forest", "24"])
    # LEGEND has 63 (forest) alone, so deciduous forest (141) is background, as every other code
    assert list(evaluate_map(made, coded)["points"]["per_class"].values()) == [2, 1, 1, 0, 0]
    older = retag(write_map(tmp_path / "older.tif", classes, grid=COARSE), legend="")
    with pytest.raises(DataError, match=r"coded\.csv, line 2: class '1' is not known; it must be one of background, corn, .*grassland$"):
        evaluate_map(older, coded)
    named = write_points(tmp_path / "named.csv", x, y, ["corn", "soybean", "forest", "background"], column="kind")
    assert list(evaluate_map(older, named, "kind")["points"]["per_class"].values()) == [1, 1, 1, 1, 0]


def test_what_cannot_be_scored_is_refused_in_one_line(made: Path, tmp_path: Path) -> None:
    x, y = grid_xy(COARSE, np.array([20.2, 20.7, 2.5]), np.array([3.2, 3.7, 2.5]))

    def refused(names: list[str], places: list[int], match: str, kind: type[Exception] = DataError) -> None:
        file = write_points(tmp_path / "p.csv", [x[index] for index in places], [y[index] for index in places], names)
        with pytest.raises(kind, match=match) as caught:
            evaluate_map(made, file)
        assert "\n" not in str(caught.value)

    refused(["corn", "forest"], [0, 1], r"p\.csv, lines 2 and 3: the same pixel has the classes corn and forest; keep one of the two")
    refused(["maize"], [0], r"p\.csv, line 2: class 'maize' is not known; it must be one of background, corn")
    refused(["corn"], [2], r"p\.csv: its 1 points in the map .*map\.tif all lie where it is nodata")
    with pytest.raises(ConfigError, match=r"--points .*absent\.csv: No such file"):
        evaluate_map(made, tmp_path / "absent.csv")
    far = write_points(tmp_path / "far.csv", [10.0], [50.0], ["corn"], head="lon,lat")
    with pytest.raises(
        DataError, match=r"far\.csv: none of its 1 points lies in the map .*map\.tif, longitude -87\.\d+ to -86\.\d+, latitude"
    ):
        evaluate_map(made, far)
    with pytest.raises(DataError, match=r"absent\.tif: no such map"):
        evaluate_map(tmp_path / "absent.tif", far)


def test_cells_do_not_depend_on_the_maps_crs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(map_points, "cells", lambda lon, lat: found.append((lon, lat)) or np.zeros(len(lon), np.int64))
    for name, grid in (("utm", make_grid(8, 8)), ("degrees", PixelGrid("EPSG:4326", (0.001, 0.0, -87.0, 0.0, -0.001, 40.65), 8, 8))):
        made = write_map(tmp_path / f"{name}.tif", np.zeros((8, 8), np.uint8), grid=grid)
        x, y = grid_xy(grid, np.array([0.1]), np.array([0.1]))
        evaluate_map(made, write_points(tmp_path / "p.csv", x, y, ["corn"]))
    assert np.allclose(found[0], [[-86.9997], [40.6511]], atol=1e-3)
    assert np.allclose(found[1], [[-86.9995], [40.6495]])
