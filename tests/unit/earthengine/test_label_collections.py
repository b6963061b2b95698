"""Collections of label images, labels finer than the grid, and weights: the graph in the embedded engine against a numpy twin."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ee
import numpy as np
import pytest

from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.labels import label_images
from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study, parse_study
from oracles.labels import commonest, mosaic, nearest
from support import scenes
from support.scenes import Client, millis, write_asset

FIELDS = PixelGrid("EPSG:32616", (30.0, 0.0, 247_000.0, 0.0, -30.0, 4_544_000.0), 40, 40)
STEP = 1 / 12_000  # degrees, as of WorldCover
TILES = {
    name: PixelGrid("EPSG:4326", (STEP, 0.0, west, 0.0, -STEP, 41.01), 120, 110)
    for name, west in (("W", -90.004), ("E", -90.004 + 120 * STEP))
}
FINE = PixelGrid("EPSG:5070", (10.0, 0.0, 499_005.0, 0.0, -10.0, 2_016_005.0), 200, 200)
SEASONS, COVER, CDL_2024 = "T/SEASONS", "ESA/WorldCover/v200", "USDA/NASS/CDL/2024"
BOUNDS = [-90.004, 41.003, -89.9965, 41.0085]


def codes(seed: int, grid: PixelGrid, choices: tuple[int, ...]) -> np.ndarray:
    blocks = np.random.default_rng(seed).choice(np.array(choices, np.uint8), (grid.height // 4 + 1, grid.width // 4 + 1))
    noise = np.random.default_rng(seed + 50).random(grid.shape_yx) < 0.2
    values = np.kron(blocks, np.ones((4, 4), np.uint8))[: grid.height, : grid.width]
    return np.where(noise, np.random.default_rng(seed + 99).choice(np.array(choices, np.uint8), grid.shape_yx), values)


IMAGES = {name: codes(seed, FIELDS, (0, 1, 2, 3)) for seed, name in enumerate(("A", "B", "C", "D"))}
COVERS = {name: codes(seed, grid, (0, 10, 40, 50)) for seed, (name, grid) in enumerate(TILES.items(), 10)}
FINE_CODES, FINE_PCT = codes(20, FINE, (0, 1, 5, 176)), np.random.default_rng(7).integers(0, 101, FINE.shape_yx).astype(np.uint8)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = scenes.write_archive(tmp_path_factory.mktemp("labels"))
    about = {
        "A": ("maize", "2021-04-01", 1),
        "B": ("annual", "2021-04-01", 1),
        "C": ("annual", "2021-09-01", 2),
        "D": ("annual", "2022-04-01", 3),
    }
    for name, (product, day, zone) in about.items():
        bands = {"code": IMAGES[name], "sure": np.full(FIELDS.shape_yx, 10 * zone, np.uint8)}
        write_asset(folder / SEASONS / name, bands, FIELDS, {"code": 0}, product=product, zone=zone, **{"system:time_start": millis(day)})
    for name, grid in TILES.items():
        write_asset(folder / COVER / name, {"Map": COVERS[name]}, grid, {"Map": 0}, **{"system:time_start": millis("2021-01-01")})
    write_asset(folder / CDL_2024, {"cropland": FINE_CODES, "confidence": FINE_PCT}, FINE, {"cropland": 0}, **{"system:time_start": 0})
    with scenes.client(folder) as found:
        yield found


def study(classes: Any = None, **labels: Any) -> Study:
    legend = {"legend": {"1": "A", "2": "B", "3": "C"}} if labels["asset"] == SEASONS else {}
    values = scenes.study(area={"bounds": BOUNDS}).to_dict()
    values["labels"] = legend | labels
    return parse_study({**values, "classes": classes or values["classes"]})


def seasons(**labels: Any) -> Study:
    return study({"a": ["A"]}, asset=SEASONS, **labels)


@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        ({"filter": {"product": "annual"}}, "BCD"), ({"filter": {"product": "annual", "zone": 2}}, "C"), ({"dates": ["2021-01-01", "2022-01-01"]}, "ABC"),
        ({"mosaic": "first"}, "ABCD"), ({"mosaic": "mode"}, "ABCD"), ({"mosaic": "last"}, "ABCD"),
        ({"filter": {"zone": 1}, "dates": ["2021-04-01", "2021-04-02"], "mosaic": "first"}, "AB"),
    ],
)  # fmt: skip
def test_a_collection_is_filtered_and_laid_on_top_of_each_other(client: Client, keys: dict[str, Any], chosen: str) -> None:
    made = seasons(**keys)
    assert client.value(label_images(made).aggregate_array("system:index")) == list(chosen)
    expected = mosaic([nearest((IMAGES[name], FIELDS), made.grid) for name in chosen], keys.get("mosaic", "last"))
    image = graph(made, "labels")
    assert client.value(image.bandNames()) == ["label"]
    found = client.pixels(image, made.grid)
    np.testing.assert_array_equal(found.filled(9)[0], expected)
    assert found.dtype == np.uint8
    assert len(np.unique(expected)) == 4


def test_weights_of_a_collection_are_those_of_the_codes_on_top(client: Client) -> None:
    for rule, order in (("last", "ABCD"), ("first", "DCBA")):
        made = seasons(mosaic=rule, weight="sure", nodata=[2])
        layers = [nearest((np.where(IMAGES[name] == 2, 0, IMAGES[name]), FIELDS), made.grid) for name in order]
        pct = dict(zip("ABCD", (10, 10, 20, 30), strict=True))
        expected, weight = np.zeros_like(layers[0]), np.zeros_like(layers[0])
        for name, layer in zip(order, layers, strict=True):
            expected, weight = np.where(layer, layer, expected), np.where(layer, pct[name], weight)
        found = client.pixels(graph(made, "labels"), made.grid)
        assert client.value(graph(made, "labels").bandNames()) == ["label", "weight"]
        np.testing.assert_array_equal(found.filled(99), np.stack([expected, weight]))


def test_finer_tiles_become_the_code_of_the_largest_area(client: Client) -> None:
    made = study({"crop": ["Cropland"]}, asset=COVER, legend="worldcover", mosaic="last")
    whole = PixelGrid("EPSG:4326", TILES["W"].transform, 240, 110)
    expected, _ = commonest((np.concatenate([COVERS["W"], COVERS["E"]], axis=1), whole), made.grid)
    found = client.pixels(graph(made, "labels"), made.grid)
    np.testing.assert_array_equal(found.filled(99)[0], expected)
    assert set(np.unique(expected)) == {0, 10, 40, 50}
    assert (expected != nearest((np.concatenate([COVERS["W"], COVERS["E"]], axis=1), whole), made.grid)).mean() > 0.1
    coarse = study({"crop": ["Cropland"]}, asset=COVER, legend="worldcover", mosaic="last", scale_m=30)
    resampled = mosaic([nearest((COVERS[name], TILES[name]), coarse.grid) for name in TILES], "last")
    np.testing.assert_array_equal(client.pixels(graph(coarse, "labels"), coarse.grid).filled(99)[0], resampled)


def test_cdl_at_10_m_with_its_confidence_as_weight(client: Client) -> None:
    made = study(asset=CDL_2024, weight="confidence")
    assert made.labels is not None
    assert made.labels.resolution_m == 10
    expected, weight = commonest((FINE_CODES, FINE), made.grid, FINE_PCT)
    found = client.pixels(graph(made, "labels"), made.grid)
    assert client.value(graph(made, "labels").bandNames()) == ["cropland", "weight"]
    np.testing.assert_array_equal(found.filled(0)[0], expected)
    assert (found.filled(0)[1] == weight).mean() > 0.999  # halves of means of areas may round either way
    assert np.abs(found.filled(0)[1].astype(int) - weight).max() <= 1
    threshold = study(asset=CDL_2024, confidence_min_pct=55)
    kept, _ = commonest((np.where(FINE_PCT >= 55, FINE_CODES, 0), FINE), threshold.grid)
    np.testing.assert_array_equal(client.pixels(graph(threshold, "labels"), threshold.grid).filled(0)[0], kept)


def test_weights_at_the_grids_own_scale_are_the_nearest(client: Client, tmp_path: Path) -> None:
    made = scenes.study(labels={"weight": "confidence"})
    folder = scenes.write_archive(tmp_path)
    expected, inside = scenes.nearest(folder / scenes.LABELS / "cropland.tif", made.grid)
    weight, _ = scenes.nearest(folder / scenes.LABELS / "confidence.tif", made.grid)
    found = client.pixels(graph(made, "labels"), made.grid)
    np.testing.assert_array_equal(found.filled(0), np.stack([expected, np.where(expected > 0, weight, 0)]))
    assert not inside.all()
    assert not np.ma.getmaskarray(found).any()


def test_the_resolution_is_the_legends_or_the_studys() -> None:
    def resolution_m(asset: str, **keys: Any) -> float | None:
        values = scenes.study().to_dict()
        values["labels"] = {"asset": asset, **keys}
        labels = parse_study({**values, "classes": {"a": [0 if keys.get("legend") == "worldcereal" else 20]}}).labels
        assert labels is not None
        return labels.resolution_m

    assert [resolution_m(f"USDA/NASS/CDL/{year}") for year in (2008, 2023, 2024, 2025)] == [30, 30, 10, 10]
    assert resolution_m("USDA/NASS/CDL/2024", scale_m=30) == 30
    assert [resolution_m("X", legend=name) for name in ("worldcover", "worldcereal", "aafc-aci")] == [10, 10, 30]
    assert resolution_m("X", legend={"20": "a"}) is None
    assert resolution_m("X", legend={"20": "a"}, scale_m=5) == 5


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"dates": ["2021-01-01"]}, r"labels\.dates: \['2021-01-01'\]: write the first day and the day after the last"),
        ({"dates": ["2022-01-01", "2021-01-01"]}, "the first day and the day after the last"),
        ({"mosaic": "median"}, r"labels\.mosaic: 'median' does not fit; it takes one of"),
        ({"mosaic": "mode", "weight": "sure"}, "the commonest of several labels has no weight of its own"),
        ({"weight": 0}, "bands are counted from 1"),
        ({"scale_m": -1}, r"labels\.scale_m"),
        ({"filter": {"zone": [1, 2]}}, r"labels\.filter\.zone"),
    ],
)  # fmt: skip
def test_keys_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        seasons(**keys)


def test_too_many_label_pixels_in_a_pixel_are_refused(client: Client) -> None:  # noqa: ARG001 - the client is initialised
    values = scenes.study(area={"scale_m": 2_500, "bounds": [-91, 40, -89, 42]}).to_dict()
    values["labels"] = {"asset": COVER, "legend": "worldcover", "mosaic": "last"}
    with pytest.raises(ConfigError, match=r"area\.scale_m 2500: a pixel may hold 126,736 label pixels of 10 m"):
        graph(parse_study({**values, "classes": {"a": [10]}}), "labels")


def test_keys_at_their_defaults_change_no_digest_and_others_do(client: Client) -> None:  # noqa: ARG001 - as above
    plain = scenes.study()
    same = scenes.study(labels={"filter": {}, "dates": [], "mosaic": "", "scale_m": 0, "weight": ""})
    assert same.digest == plain.digest
    assert same.to_dict() == plain.to_dict()
    changed = seasons(filter={"product": "annual", "zone": 2}, dates=["2021-01-01", "2022-01-01"], scale_m=30, weight="sure")
    again = parse_study(tomllib.loads(changed.to_toml()))
    assert again.digest == changed.digest
    assert ee.serializer.encode(graph(again, "labels")) == ee.serializer.encode(graph(changed, "labels"))
