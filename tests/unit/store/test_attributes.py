"""Attributes of a wrong type, or that do not fit each other, are refused with their place."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import CRS

from cropcam.pipeline.errors import DataError
from cropcam.pipeline.store.attributes import check_attributes
from cropcam.pipeline.store.patch_store import open_store
from cropcam.pipeline.store.schema import StoreInfo
from support.stores import make_store


@pytest.fixture(scope="module")
def attrs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("store") / "s.zarr"
    make_store(path, count=4, size_px=8)
    return {**open_store(path).info.attrs(), "tables": {"split": "0" * 64}}


def put(values: Any, place: str, to: object) -> Any:
    """A copy with the value at `place`, keys and numbers with dots between, replaced."""
    values, (*keys, last) = copy.deepcopy(values), place.split(".")
    item = values
    for key in keys:
        item = item[int(key) if isinstance(item, list) else key]
    item[int(last) if isinstance(item, list) else last] = to
    return values


def test_right_attributes(attrs: dict[str, Any]) -> None:
    check_attributes(attrs)
    check_attributes(
        put(attrs, "crs", CRS.from_proj4("+proj=aea +lat_1=29 +lat_2=45 +lon_0=-96 +ellps=bessel +towgs84=598,73,418").to_wkt())
    )
    check_attributes(put(attrs, "classes.1.name", "\u3000\u00a0 corn"))
    assert StoreInfo.from_attrs(attrs, "x").attrs() == attrs


@pytest.mark.parametrize(
    ("place", "to", "message"),
    [
        ("study.labels", 1.5, r"study\.labels: input should be .*object.*, not 1\.5"),
        ("study.study.name", "", r"study\.study\.name: string should have at least 1 character"),
        ("study.image.seasons", [], r"study\.image\.seasons: list should have at least 1 item"),
        ("study.image.seasons.0", ["2016-02-30", "2016-03-01"], r"study\.image\.seasons\.0\.0: day is out of range"),
        ("study.splits.block_patches", [3, 0], r"study\.splits\.block_patches\.1: input should be greater than or equal to 1, not 0"),
        ("bands.3", 1.5, r"bands\.3: input should be a valid string, not 1\.5"),
        ("bands.0", "SR_B2", "two bands or two classes have one name"),
        ("bands.0", "a\nb", r"bands\.0: holds characters that cannot be printed"),
        ("classes.1.codes", [1.5], r"classes\.1\.codes\.0: input should be a valid integer"),
        ("classes.1.codes", [1e308], r"classes\.1\.codes\.0: input should be a valid integer"),
        ("classes.1.codes", [65536], r"classes\.1\.codes\.0: input should be less than or equal to 65535"),
        ("classes.1.color", [1, 2], r"classes\.1\.color\.2: field required"),
        ("encoding.dtype", "complex64", r"encoding\.dtype: input should be 'uint8'"),
        ("encoding.scale", [1.0], r"encoding\.scale: 1 values, there are 7 bands"),
        ("encoding.nodata.0", "nan", r"encoding\.nodata\.0"),
        ("statistics.mean", [0.1] * 14, r"statistics\.mean: 14 values, there are 7 bands"),
        ("statistics.mean.2", float("nan"), r"statistics\.mean\.2: input should be a finite number"),
        ("statistics.std.0", -1.0, r"statistics\.std\.0: input should be greater than or equal to 0"),
        ("statistics.histogram", {"edges": [0, 1], "counts": [[1]] * 6 + [{"a": 1}]}, r"statistics\.histogram\.counts\.6: input should be a valid array"),
        ("statistics.histogram", {"edges": [0, 1], "counts": [[1, 2]] * 7}, r"statistics\.histogram: not one count for each bin"),
        ("transform.0", 0.0, "transform: pixels of no size"),
        ("width", 2**40, "width: input should be less than or equal to 2147483647"),
        ("width", True, "width: input should be a valid integer"),
        ("height", 3, "width, height: no patch fits"),
        ("patch_size_px", 10**6, "patch_size_px: input should be less than or equal to 4096"),
        ("tables", {"split": 1}, r"tables\.split: input should be a valid string"),
        ("dropped", {"image": -1}, r"dropped\.image: input should be greater"),
    ],
)  # fmt: skip
def test_attributes_that_are_not_right(attrs: dict[str, Any], place: str, to: object, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        check_attributes(put(attrs, place, to))
    with pytest.raises(DataError, match=rf"^there: damaged patch store: attribute {message}[^\n]*; delete it and build it again with"):
        StoreInfo.from_attrs(put(attrs, place, to), "there")


def places(value: Any, before: str = "") -> Iterator[str]:
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        yield f"{before}{key}"
        if isinstance(item, dict | list):
            yield from places(item, f"{before}{key}.")


ODD = st.sampled_from([None, True, -1, 0, 1.5, 2**70, 1e308, float("nan"), "", "x", [], {}, [[1], [1, 2]], {"a": []}, 2**62])


@given(data=st.data())
def test_whatever_one_attribute_is_it_is_read_or_refused_in_one_line(attrs: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(sorted({*places(attrs)} - {"schema_version"})))
    try:
        info = StoreInfo.from_attrs(put(attrs, place, data.draw(ODD)), "there")
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        _ = info.name, info.layout, info.seasons, info.season_days, info.split_block_patches, info.classes.lookup(), info.digest
