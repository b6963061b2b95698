"""Images: types, arithmetic, casts, masks, bands, remap, visualisation; through the real client's objects."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import ee
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cropcam.pipeline.emulator.casts import caster
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.images import BandType
from cropcam.pipeline.emulator.operators import BINARY
from cropcam.pipeline.grid import PixelGrid, Window
from support import scenes
from support.scenes import Client, write_asset

GRID = PixelGrid("EPSG:32616", (30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0), 4, 3)
A = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000
B = np.arange(12, 0, -1).astype(np.int16).reshape(3, 4) - 6
C = np.linspace(-2.5, 3, 12, dtype=np.float32).reshape(3, 4)
ASSET = "T/image"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("archive")
    write_asset(folder / ASSET, {"a": A, "b": B, "c": C}, GRID, {"a": 0}, **{"system:time_start": 0, "n": 3, "name": "x"})
    with scenes.client(folder) as found:
        yield found


def image() -> Any:
    return ee.Image(ASSET)


def types(client: Client, made: Any) -> list[tuple[Any, ...]]:
    described = [band["data_type"] for band in client.value(made)["bands"]]
    return [(d["precision"], d.get("min"), d.get("max")) for d in described]


def test_an_asset_is_described_as_getinfo_gives_it(client: Client) -> None:
    found = client.value(image())
    assert (found["type"], found["id"]) == ("Image", ASSET)
    assert found["bands"][0] == {
        "id": "a",
        "data_type": {"type": "PixelType", "precision": "int", "min": 0, "max": 65535},
        "dimensions": [4, 3],
        "crs": "EPSG:32616",
        "crs_transform": [30.0, 0.0, 400_000.0, 0.0, -30.0, 4_500_000.0],
    }
    assert found["properties"] == {"system:time_start": 0, "n": 3, "name": "x", "system:index": "image"}
    assert types(client, image()) == [("int", 0, 65535), ("int", -32768, 32767), ("float", None, None)]


def test_nodata_is_masked_and_outside_is_masked(client: Client) -> None:
    around = PixelGrid(GRID.crs, (30.0, 0.0, 399_970.0, 0.0, -30.0, 4_500_030.0), 6, 5)
    pixels = client.pixels(image().select(["a", "b"]), around)
    inside = np.zeros((5, 6), bool)
    inside[1:4, 1:5] = True
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[1], inside)
    inside[1, 1] = False
    np.testing.assert_array_equal(~np.ma.getmaskarray(pixels)[0], inside)
    assert (pixels.data[0][~inside] == 0).all()
    np.testing.assert_array_equal(pixels.data[1, 1:4, 1:5], B)


@pytest.mark.parametrize(
    ("made", "expected", "kind"),
    [
        (lambda i: i.select("a").add(i.select("a")), A.astype(int) * 2, ("int", 0, 131070)),
        (lambda i: i.select("a").subtract(70_000), A.astype(int) - 70_000, ("int", -70000, -4465)),
        (lambda i: i.select("a").multiply(0.0000275), A * 0.0000275, ("double", None, None)),
        (lambda i: i.select("c").multiply(2), C * 2, ("float", None, None)),
        (lambda i: i.select("c").add(0.5), C.astype(float) + 0.5, ("double", None, None)),
        (lambda i: i.select("a").divide(i.select("b")), np.divide(A, B, out=np.zeros((3, 4)), where=B != 0), ("double", None, None)),
        (lambda i: i.select("a").mod(7), A % 7, ("int", 0, 65535)),
        (lambda i: i.select("a").bitwiseAnd(31), A & 31, ("int", 0, 31)),
        (lambda i: i.select("a").bitwiseOr(7), A | 7, ("int", 0, 65535)),
        (lambda i: i.select("a").leftShift(2), A.astype(int) << 2, ("int", 0, 262140)),
        (lambda i: i.select("a").rightShift(3), A >> 3, ("int", 0, 65535)),
        (lambda i: i.select("b").abs(), np.abs(B), ("int", 0, 32768)),
        (lambda i: i.select("b").lt(0), B < 0, ("int", 0, 1)),
        (lambda i: i.select("b").gte(0).And(i.select("a").gt(20000)), (B >= 0) & (A > 20000), ("int", 0, 1)),
        (lambda i: i.select("b").Not(), B == 0, ("int", 0, 1)),
        (lambda i: i.select("c").floor(), np.floor(C), ("float", None, None)),
        (lambda i: i.select("c").round(), np.floor(C + 0.5), ("float", None, None)),
        (lambda i: i.select("c").toInt16(), C.astype(np.int16), ("int", -32768, 32767)),
        (lambda i: i.select("b").toUint8(), np.clip(B, 0, 255), ("int", 0, 255)),
        (lambda i: i.select("a").toFloat(), A.astype(np.float32), ("float", None, None)),
        (lambda i: i.select("b").max(2), np.maximum(B, 2), ("int", 2, 32767)),
        (lambda i: i.select("b").pow(2), B.astype(float) ** 2, ("double", None, None)),
        (lambda i: i.select("a").normalizedDifference(["a", "a"]), np.zeros((3, 4)), ("float", None, None)),
        (lambda i: i.select("b").where(i.select("b").lt(0), 9), np.where(B < 0, 9, B), ("int", -32768, 32767)),
    ],
)  # fmt: skip
def test_operations_and_their_types(client: Client, made: Any, expected: np.ndarray, kind: tuple[Any, ...]) -> None:
    built = made(image())
    pixels = client.pixels(built, GRID)[0]
    valid = ~np.ma.getmaskarray(pixels)
    assert valid.sum() >= 11
    np.testing.assert_array_equal(pixels.data[valid], np.asarray(expected, pixels.dtype)[valid])
    found = types(client, built)[0]
    assert found == kind or (found[0] == "double" and kind[0] == "double")


EXACT: dict[str, Any] = {
    "add": operator.add, "subtract": operator.sub, "multiply": operator.mul, "min": min, "max": max, "bitwiseAnd": operator.and_,
    "bitwiseOr": operator.or_, "bitwiseXor": operator.xor, "leftShift": operator.lshift, "rightShift": operator.rshift, "mod": math.fmod,
    "eq": operator.eq, "neq": operator.ne, "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
    "and": lambda a, b: bool(a and b), "or": lambda a, b: bool(a or b), "divide": operator.truediv, "hypot": math.hypot, "atan2": math.atan2,
    "pow": lambda a, b: float(a) ** b,
}  # fmt: skip
whole = st.sampled_from([0, 1, -1, 127, 128, 255, 256, 32767, 65535, 65536, -(2**20)]) | st.integers(-(2**20), 2**20)


@pytest.mark.parametrize("name", sorted(BINARY))
@settings(deadline=None, max_examples=50)
@given(one=whole, two=whole, spare=st.tuples(*[st.sampled_from([0, 1, 300, 70_000])] * 4))
def test_whole_numbers_are_exact_and_within_their_type(name: str, one: int, two: int, spare: tuple[int, int, int, int]) -> None:
    if "Shift" in name or name == "pow":
        one, two, spare = abs(one), abs(two) % 20, (0, spare[1], 0, 0)
    assume(two != 0 or name not in ("divide", "mod"))
    first, second = BandType("int", one - spare[0], one + spare[1]), BandType("int", two - spare[2], two + spare[3])
    kind = BINARY[name].type(first, second)
    made = BINARY[name].function(first, second, kind.dtype)(np.asarray(one, first.dtype), np.asarray(two, second.dtype)).item()
    assert kind.bounds[0] <= made <= kind.bounds[1]
    assert made == pytest.approx(float(EXACT[name](one, two)), rel=1e-14)


@given(st.floats(allow_nan=True), st.sampled_from(["uint8", "int8", "uint16", "int16", "uint32", "int32", "int64"]))
def test_casts_clamp_and_cut_towards_zero(value: float, dtype: str) -> None:
    about = np.iinfo(dtype)
    expected = 0 if np.isnan(value) else int(max(about.min, min(about.max, value if np.isinf(value) else int(value))))
    assert caster(dtype)(np.array([value])).tolist() == [expected]


def test_bands_are_selected_renamed_added(client: Client) -> None:
    names = lambda made: client.value(made.bandNames())  # noqa: E731
    assert names(image().select(["c", 0])) == ["c", "a"]
    assert names(image().select("[ab]")) == ["a", "b"]
    assert names(image().select(["a", "b"], ["x", "y"])) == ["x", "y"]
    assert names(image().rename(["x", "y", "z"])) == ["x", "y", "z"]
    assert names(image().addBands(image().select("a"))) == ["a", "b", "c", "a_1"]
    assert names(image().addBands(image().select("a"), None, True)) == ["a", "b", "c"]
    assert names(ee.Image.cat([image(), 1])) == ["a", "b", "c", "constant"]
    assert names(ee.Image([1, 2])) == ["constant", "constant_1"] or names(ee.Image.constant([1, 2])) == ["constant_0", "constant_1"]
    assert client.value(image().bandTypes())["b"]["min"] == -32768
    with pytest.raises(EngineError, match=r"Band pattern 'q' did not match any bands\. Available bands: \[a, b, c\]"):
        client.value(image().select("q"))
    with pytest.raises(EngineError, match="Band index 7 out of bounds"):
        client.value(image().select(7))
    with pytest.raises(EngineError, match=r"The number of names \(2\) must match the number of bands \(3\)"):
        client.value(image().rename(["x", "y"]))


def test_images_meet_by_name_in_order_or_singly(client: Client) -> None:
    swapped = image().select(["b", "a"])
    np.testing.assert_array_equal(client.pixels(image().select(["a", "b"]).subtract(swapped), GRID).filled(0), 0)
    renamed = swapped.rename(["x", "y"])
    np.testing.assert_array_equal(
        client.pixels(image().select(["a", "b"]).add(renamed), GRID).data[0].ravel()[1:], (A.astype(int) + B).ravel()[1:]
    )
    assert client.value(ee.Image(1).add(image().select(["a", "b"])).bandNames()) == ["a", "b"]
    with pytest.raises(EngineError, match="same number of bands"):
        client.value(image().add(renamed))


def test_masks(client: Client) -> None:
    a, b = image().select("a"), image().select("b")
    kept = client.pixels(b.updateMask(b.gt(0)), GRID)[0]
    np.testing.assert_array_equal(~np.ma.getmaskarray(kept), B > 0)
    np.testing.assert_array_equal(client.pixels(a.mask(), GRID).filled(9)[0], (A != 0).astype(int))
    np.testing.assert_array_equal(client.pixels(a.unmask(), GRID).data[0], A)
    assert not np.ma.getmaskarray(client.pixels(a.unmask(7), GRID)).any()
    assert client.pixels(a.unmask(-7), GRID).data[0, 0, 0] == -7
    np.testing.assert_array_equal(~np.ma.getmaskarray(client.pixels(b.selfMask(), GRID))[0], B != 0)
    both = client.pixels(image().select(["a", "b"]).updateMask(b.neq(0)), GRID)
    np.testing.assert_array_equal(~np.ma.getmaskarray(both), [(A != 0) & (B != 0), B != 0])
    blended = client.pixels(ee.Image(5).blend(a), GRID)[0]
    np.testing.assert_array_equal(blended, np.where(A == 0, 5, A))
    with pytest.raises(EngineError, match="The mask has 2 bands, the image 3"):
        client.value(image().updateMask(image().select(["a", "b"])))


def test_unmask_stays_within_the_footprint_unless_told_otherwise(client: Client) -> None:
    around = PixelGrid(GRID.crs, (30.0, 0.0, 399_970.0, 0.0, -30.0, 4_500_030.0), 6, 5)
    within = client.pixels(image().select("a").unmask(3), around)
    assert np.ma.getmaskarray(within).sum() == 30 - 12
    assert not np.ma.getmaskarray(client.pixels(image().select("a").unmask(3, False), around)).any()
    assert not np.ma.getmaskarray(client.pixels(ee.ImageCollection([image().select("a")]).median().unmask(3), around)).any()


def test_remap(client: Client) -> None:
    b = image().select("b")
    masked = client.pixels(b.remap([0, 1, 1], [10, 20, 30]), GRID)[0]
    np.testing.assert_array_equal(masked.filled(0), np.select([B == 0, B == 1], [10, 20], 0))
    full = b.remap([0, 1], [10, 20], 99)
    np.testing.assert_array_equal(client.pixels(full, GRID).filled(0)[0], np.select([B == 0, B == 1], [10, 20], 99))
    assert types(client, full) == [("int", 10, 99)]
    assert client.value(image().remap([1], [2], None, "b").bandNames()) == ["remapped"]
    halves = client.pixels(image().select("b").remap([1], [0.5], 0), GRID)[0]
    np.testing.assert_array_equal(halves, np.where(B == 1, 0.5, 0))
    with pytest.raises(EngineError, match=r"must be the same size\. Got 2 and 1"):
        client.value(b.remap([1, 2], [3]))


def test_constants(client: Client) -> None:
    assert types(client, ee.Image(5)) == [("int", 5, 5)]
    assert types(client, ee.Image(5.0)) == [("int", 5, 5)]
    assert types(client, ee.Image(0.5))[0][0] == "double"
    assert client.image(ee.Image(5)).grid is None
    assert (client.pixels(ee.Image(7), GRID) == 7).all()
    lonlat = client.pixels(ee.Image.pixelLonLat(), GRID)
    assert lonlat.shape == (2, 3, 4)
    assert (lonlat[0] < -80).all()
    assert (lonlat[1] > 40).all()
    np.testing.assert_allclose(client.pixels(ee.Image.pixelArea(), GRID), 900)
    degree = PixelGrid("EPSG:4326", (0.01, 0.0, 0.0, 0.0, -0.01, 0.01), 1, 1)
    assert client.pixels(ee.Image.pixelArea(), degree).item() == pytest.approx(1113.19 * 1105.74, rel=1e-4)
    x = client.pixels(ee.Image.pixelCoordinates(ee.Projection(GRID.crs, list(GRID.transform))), GRID)
    np.testing.assert_allclose(x[0, 0], [0.5, 1.5, 2.5, 3.5])


def test_properties(client: Client) -> None:
    made = image().set("k", 4).set({"l": 5, "n": None})
    assert client.value(made.get("k")) == 4
    assert client.value(made.toDictionary(["k", "l"])) == {"k": 4, "l": 5}
    assert client.value(made.get("gone")) is None
    assert client.value(image().get("system:id")) == ASSET
    copied = ee.Image(1).copyProperties(image(), ["n", "system:time_start"])
    assert client.value(copied)["properties"] == {"n": 3, "system:time_start": 0}
    assert client.value(ee.Image(1).copyProperties(image()))["properties"] == {"n": 3, "name": "x"}
    assert client.value(image().date().format("YYYY-MM-dd")) == "1970-01-01"
    assert client.value(image().propertyNames()) == ["n", "name", "system:bands", "system:id", "system:index", "system:time_start"]
    assert "properties" not in client.value(image().add(1))
    with pytest.raises(EngineError, match="Property 'q' is missing"):
        client.value(image().toDictionary(["q"]))


def test_visualisation(client: Client) -> None:
    grey = client.pixels(image().select("b").visualize(min=-5, max=6), GRID)
    np.testing.assert_array_equal(grey[0], np.floor((np.clip(B, -5, 6) + 5) / 11 * 255 + 0.5))
    painted = client.image(image().visualize(bands=["b"], min=-5, max=6, palette=["000000", "ff0000"]))
    assert painted.names == ("vis-red", "vis-green", "vis-blue")
    values, _ = painted.read(GRID)
    assert values.dtype == np.uint8
    assert (values[0] == grey[0].data).all()
    assert not values[1:].any()
    rgb = client.image(image().visualize(bands=["a", "b", "c"], min=0, max=[60000, 5, 3], gamma=2))
    assert rgb.names == ("vis-red", "vis-green", "vis-blue")
    with pytest.raises(EngineError, match="Cannot provide a palette when visualizing more than one band"):
        client.value(image().visualize(bands=["a", "b", "c"], palette=["red", "blue"]))
    with pytest.raises(EngineError, match="Invalid color 'reddish'"):
        client.value(image().visualize(bands=["a"], palette=["reddish"]))
    with pytest.raises(EngineError, match="gain or bias and min or max"):
        client.value(image().visualize(bands=["a"], gain=2, min=0))


def test_reductions_over_bands_and_regions(client: Client) -> None:
    over = client.pixels(image().select(["b", "c"]).reduce(ee.Reducer.max()), GRID)
    np.testing.assert_array_equal(over[0], np.maximum(B, C))
    region = ee.Geometry.Rectangle([400_000, 4_499_910, 400_120, 4_500_000], GRID.crs, False)
    find = lambda reducer, made: client.value(made.reduceRegion(reducer, region, crs=GRID.crs, crsTransform=list(GRID.transform)))  # noqa: E731
    assert find(ee.Reducer.mean(), image()) == {"a": A[A > 0].mean(), "b": B.mean(), "c": pytest.approx(float(C.mean()))}
    assert find(ee.Reducer.max(), image().select("b")) == {"b": 6}
    assert find(ee.Reducer.count(), image().select(["a", "b"])) == {"a": 11, "b": 12}
    assert find(ee.Reducer.frequencyHistogram(), image().select("b").gt(0)) == {"b": {"0": 6, "1": 6}}
    assert find(ee.Reducer.median(), image().select("b").updateMask(0)) == {"b": None}
    with pytest.raises(EngineError, match=r"Too many pixels in the region\. Found 15, but maxPixels allows only 10"):
        client.value(image().reduceRegion(ee.Reducer.mean(), region, 30, GRID.crs, maxPixels=10))
    few = image().select("b").reduceRegion(ee.Reducer.count(), region, 30, GRID.crs, maxPixels=10, bestEffort=True)
    assert 0 < client.value(few)["b"] <= 10


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3), st.integers(1, 4))
def test_reads_are_a_function_of_the_grid_alone(client: Client, row: int, col: int, height: int, width: int) -> None:
    window = Window(row, col, min(height, 3 - row), min(width, 4 - col))
    built = image().select(["a", "b"]).add(0.25).updateMask(image().select("b").gt(-3)).unmask(5)
    whole, part = client.pixels(built, GRID), client.pixels(built, GRID.window(window))
    np.testing.assert_array_equal(part.filled(-1), whole.filled(-1)[:, *window.slices])


def test_reading_wants_known_bands(client: Client) -> None:
    lazy = client.image(image())
    values, _ = lazy.read(GRID, ["b"])
    assert (values.dtype, values.shape) == (np.int16, (1, 3, 4))
    np.testing.assert_array_equal(lazy.read(GRID, ["c", "b"])[0][1], B)
    with pytest.raises(EngineError, match="did not match any bands"):
        lazy.read(GRID, ["q"])
    with pytest.raises(EngineError, match="Image has no bands"):
        client.image(image().select([])).read(GRID)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("b('b') + 2 * X", B + 6.0),
        ("(b(1) - X) / (b(1) + 100)", (B - 3) / (B + 100)),
        ("-b('b') ** 2", -(B.astype(float) ** 2)),
        ("I.b > 0 && I['b'] < 3", (B > 0) & (B < 3)),
        ("!(b('b') == 1) || 0", B != 1),
        ("b('b') < 0 ? 10 : b('b') > 3 ? 20 : 30", np.select([B < 0, B > 3], [10, 20], 30)),
        ("max(b('b'), X) % 4", np.maximum(B, 3) % 4),
        ("abs(b('b')) & 3 | 8", (np.abs(B) & 3) | 8),
        ("1e1 + .5 - +b('b')", 10.5 - B),
        ("1 + 1 << 2 | b('b') * 0", np.full((3, 4), 8)),
    ],
)
def test_formulas(client: Client, formula: str, expected: Any) -> None:
    made = image().expression(formula, {"X": 3, "I": image()})
    np.testing.assert_allclose(client.pixels(made, GRID)[0], expected)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("b('b') +", "ends too early"),
        ("b('b') b", "Unexpected 'b'"),
        ("Y + 1", "Unrecognized variable 'Y'"),
        ("erf(b('b'))", "function 'erf' is not implemented"),
        (") + 1", r"Unexpected '\)'"),
        ("'x' + 1", "Only images and numbers"),
        ("0.5 & 1", "Bitwise operands must be integer only"),
    ],
)
def test_formulas_that_are_none_are_refused(client: Client, formula: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        client.value(image().expression(formula, {"X": 3}))


def test_clamps_and_scales_to_the_unit(client: Client) -> None:
    b = image().select("b")
    np.testing.assert_array_equal(client.pixels(b.clamp(-2, 3), GRID)[0], np.clip(B, -2, 3))
    assert types(client, b.clamp(-2, 3)) == [("int", -2, 3)]
    np.testing.assert_allclose(client.pixels(b.unitScale(-5, 6), GRID)[0], (B + 5) / 11)


def test_less_usual_ways_with_bands_and_masks(client: Client) -> None:
    names = lambda made: client.value(made.bandNames())  # noqa: E731
    assert names(image().regexpRename("^", "x_")) == ["x_a", "x_b", "x_c"]
    assert names(image().slice(1, 3)) == ["b", "c"]
    assert names(image().addBands(image(), ["b"])) == ["a", "b", "c", "b_1"]
    assert names(image().metadata("n")) == ["n"]
    b = image().select("b")
    np.testing.assert_array_equal(client.pixels(b.firstNonZero(7), GRID)[0], np.where(B == 0, 7, B))
    np.testing.assert_array_equal(client.pixels(b.mask(b.gt(0)), GRID).filled(0)[0], np.where(B > 0, B, 0))
    with pytest.raises(EngineError, match="Property 'name' is not a number"):
        client.value(image().metadata("name"))
    with pytest.raises(EngineError, match="Duplicate band names"):
        client.value(image().rename(["x", "x", "y"]))
    with pytest.raises(EngineError, match="Exactly two bands are required"):
        client.value(image().normalizedDifference(["a"]))
