"""The item and the styles beside a map: valid STAC, the facts of the files, the same bytes again, none of an older map."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pystac
import pytest
import rasterio
from pystac.errors import STACValidationError
from pystac.extensions.classification import ClassificationExtension
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension

from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.maps import qml
from cropcam.pipeline.maps.sidecars import (
    check_files,
    check_sidecars,
    is_item,
    is_style,
    raster_bands,
    remove_sidecars,
    sidecar_tags,
    write_sidecars,
)
from cropcam.pipeline.maps.window_job import CLASSES as CLASS_MAP
from cropcam.pipeline.maps.window_job import PROBABILITY
from cropcam.pipeline.runtime.hashing import file_sha256
from support import stac_schemas
from support.maps import retag, write_map
from support.memory_source import LEGEND, make_grid

SEASONS = [("2018-06-01", "2018-09-01")]
CLASSES = np.random.default_rng(0).integers(0, len(LEGEND), (70, 90), dtype=np.uint8)


def write_layer(path: Path, bands: list[str], dtype: str = "uint8", nodata: float = 255, scale: float = 0.004) -> Path:
    grid = make_grid(*CLASSES.shape)
    kind = {"dtype": dtype, "count": len(bands), "nodata": nodata, "width": grid.width, "height": grid.height}
    with rasterio.open(path, "w", driver="GTiff", crs=grid.crs, transform=rasterio.Affine(*grid.transform), **kind) as file:
        file.scales, file.descriptions = (scale,) * len(bands), bands
        file.write(np.full((len(bands), *CLASSES.shape), 100, dtype))
    return path


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A map with all its layers, outlines and a run."""
    path = tmp_path / "maps" / "map.tif"
    (tmp_path / "layers").mkdir()
    (tmp_path / "run").mkdir()
    write_layer(tmp_path / "layers" / "probabilities.tif", list(LEGEND.names))
    write_layer(tmp_path / "layers" / "uncertainty.tif", ["uncertainty"])
    write_layer(tmp_path / "layers" / "shift.tif", ["distance"], "float32", float("nan"), 1.0)
    (tmp_path / "layers" / "outlines.parquet").write_bytes(b"PAR1")
    (tmp_path / "run" / "stac.json").write_text(json.dumps({"properties": {"mlm:name": "fcn-made-up"}}))
    layers = {name: f"../layers/{name}.tif" for name in ("probabilities", "uncertainty", "shift")}
    tags = {"model": "fcn", "method": "cam-argmax", "labels": "shares", "store_digest": "5" * 64, "inputs": "a.tif b.tif"}
    path.parent.mkdir()
    return write_map(path, CLASSES, **layers, **tags, **sidecar_tags(path, SEASONS))


def write(path: Path) -> dict[str, Any]:
    folder = path.parent.parent
    item = write_sidecars(path, polygons=folder / "layers" / "outlines.parquet", run=folder / "run" / "stac.json")
    assert item == path.with_name("map.stac.json")
    return dict(json.loads(item.read_text("utf-8")))


def test_the_item_is_valid_stac_with_all_its_extensions(whole: Path) -> None:
    item = write(whole)
    validated = stac_schemas.validate(item)
    assert len(validated) == 1 + len(item["stac_extensions"])
    names = ("projection/v2.0.0", "raster/v2.0.0", "classification/v2.0.0", "file/v2.1.0", "processing/v1.2.0")
    assert item["stac_extensions"] == [stac_schemas.schema_uri(name) for name in names]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("properties", "proj:code"), 32616),
        (("properties", "processing:software"), "cropcam 0"),
        (("properties", "start_datetime"), None),
        (("assets", "classes", "file:checksum"), "abc"),
        (("assets", "classes", "bands", 0, "raster:sampling"), "pixel"),
        (("assets", "classes", "bands", 0, "classification:classes", 0, "color_hint"), "#ffffff"),
        (("assets", "classes", "bands", 0, "raster:colour"), 1),
    ],
)
def test_the_validator_sees_wrong_fields(whole: Path, place: tuple[str | int, ...], value: Any) -> None:
    item = part = write(whole)
    for step in place[:-1]:
        part = part[step]  # type: ignore[index]
    part[place[-1]] = value  # type: ignore[index]
    with pytest.raises(STACValidationError, match="Validation failed"):
        stac_schemas.validate(item)


def test_pystac_reads_the_facts_of_the_map(whole: Path) -> None:
    item = pystac.Item.from_dict(write(whole))
    assert item.datetime is None
    assert item.common_metadata.start_datetime is not None
    assert item.common_metadata.start_datetime.isoformat() == "2018-06-01T00:00:00+00:00"
    projection = ProjectionExtension.ext(item)
    assert (projection.code, projection.shape) == ("EPSG:32616", list(CLASSES.shape))
    assert projection.transform == list(make_grid(*CLASSES.shape).transform)
    west, south, east, north = item.bbox or []
    assert -87 < west < east < -86.9
    assert 40.6 < south < north < 40.7
    assert item.common_metadata.gsd == 30.0
    band = item.assets["classes"].extra_fields["bands"][0]
    assert (band["data_type"], band["nodata"]) == ("uint8", 255)
    classes = band["classification:classes"]
    assert [(each["value"], each["title"]) for each in classes] == [*enumerate(LEGEND.names), (255, "nodata")]
    holder = pystac.Asset("", extra_fields={"classification:classes": classes})
    holder.owner = item
    found = ClassificationExtension.ext(holder).classes or []
    assert [each.color_hint for each in found[:-1]] == [each.color_hex[1:].upper() for each in LEGEND.classes]
    for name, asset in item.assets.items():
        file = (whole.parent / asset.href).resolve()
        described = FileExtension.ext(asset)
        assert (described.size, described.checksum) == (file.stat().st_size, "1220" + file_sha256(file)), name


def test_bands_are_those_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "layer.tif"
    grid = make_grid(8, 8)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=2,
        nodata=255,
        width=8,
        height=8,
        crs=grid.crs,
        transform=rasterio.Affine(*grid.transform),
    ) as file:
        file.scales, file.descriptions = (0.004, 0.004), ("corn", "soybean")
    assert raster_bands(path) == [
        {"name": name, "data_type": "uint8", "nodata": 255, "raster:sampling": "area", "raster:scale": 0.004, "raster:offset": 0.0}
        for name in ("corn", "soybean")
    ]
    assert [band["name"] for band in raster_bands(path, ["a", "b"])] == ["a", "b"]


def test_a_raster_that_is_gone_is_an_error_with_a_step(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.tif: cannot be read .*make the map again"):
        raster_bands(tmp_path / "gone.tif")


def test_layers_have_their_bands_and_everything_has_a_relative_address(whole: Path) -> None:
    item = write(whole)
    assets = item["assets"]
    assert set(assets) == {
        *("classes", "probabilities", "uncertainty", "shift", "polygons"),
        *("classes-style", "probabilities-style", "uncertainty-style", "shift-style", "polygons-style"),
    }
    assert [band["name"] for band in assets["probabilities"]["bands"]] == list(LEGEND.names)
    assert {band["raster:scale"] for band in assets["probabilities"]["bands"]} == {0.004}
    assert assets["shift"]["bands"][0]["nodata"] == "nan"
    assert assets["uncertainty"]["href"] == "../layers/uncertainty.tif"
    assert assets["classes"]["href"] == "./map.tif"
    assert item["links"] == [
        {
            "rel": "derived_from",
            "href": "../run/stac.json",
            "type": "application/geo+json",
            "title": "the run fcn-made-up",
            "mlm:name": "fcn-made-up",
        }
    ]
    assert item["properties"]["processing:lineage"] == (
        "classes by cam-argmax of the network fcn trained on shares labels of the store 555555555555 from a.tif b.tif"
    )


def test_qgis_finds_each_style_by_the_name_of_its_raster(whole: Path) -> None:
    write(whole)
    layers = whole.parent.parent / "layers"
    assert whole.with_suffix(".qml").read_text("utf-8") == qml.class_qml(LEGEND)
    assert (layers / "probabilities.qml").read_text("utf-8") == qml.probability_qml(LEGEND)
    assert (layers / "uncertainty.qml").read_text("utf-8") == qml.uncertainty_qml()
    assert (layers / "shift.qml").read_text("utf-8") == qml.distance_qml()
    assert (layers / "outlines.qml").read_text("utf-8") == qml.vector_qml(LEGEND, "class")


def test_the_same_files_give_the_same_bytes(whole: Path) -> None:
    write(whole)
    before = {file: file.read_bytes() for file in whole.parent.parent.rglob("*") if file.is_file()}
    write(whole)
    assert {file: file.read_bytes() for file in whole.parent.parent.rglob("*") if file.is_file()} == before


def test_a_map_alone_has_an_item_without_dates_or_run(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    item = json.loads(write_sidecars(path, run=tmp_path / "stac.json").read_text("utf-8"))
    stac_schemas.validate(item)
    assert set(item["assets"]) == {"classes", "classes-style"}
    assert item["links"] == []
    assert item["properties"]["start_datetime"].startswith("1972")
    assert "dates of the images are not known" in item["properties"]["description"]


def test_a_crs_without_a_code_and_across_180_degrees_is_valid_too(tmp_path: Path) -> None:
    crs = "+proj=laea +lat_0=-17 +lon_0=179.9 +datum=WGS84 +units=m"
    path = write_map(tmp_path / "fiji.tif", CLASSES, grid=PixelGrid(crs, (1000.0, 0.0, -45_000.0, 0.0, -1000.0, 35_000.0), 90, 70))
    item = json.loads(write_sidecars(path).read_text("utf-8"))
    stac_schemas.validate(item)
    assert item["properties"]["proj:code"] is None
    assert item["bbox"][0] > item["bbox"][2]
    assert item["geometry"]["type"] == "MultiPolygon"


def test_a_geopackage_keeps_its_own_style(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    (tmp_path / "outlines.gpkg").write_bytes(b"SQLite")
    item = json.loads(write_sidecars(path, polygons=tmp_path / "outlines.gpkg").read_text("utf-8"))
    assert not (tmp_path / "outlines.qml").exists()
    assert "polygons-style" not in item["assets"]


def test_outlines_of_the_name_of_the_map_leave_it_its_style(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    (tmp_path / "map.parquet").write_bytes(b"PAR1")
    write_sidecars(path, polygons=tmp_path / "map.parquet")
    assert path.with_suffix(".qml").read_text("utf-8") == qml.class_qml(LEGEND)


def test_old_sidecars_go_before_a_new_map_comes(tmp_path: Path) -> None:
    path = write_map(tmp_path / "map.tif", CLASSES)
    write_sidecars(path)
    remove_sidecars(path)
    remove_sidecars(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["map.tif", "map.tif.aux.xml"]


def test_rasters_of_one_style_are_refused() -> None:
    check_sidecars([Path("a.tif"), Path("b.tif"), Path("folder/a.tif")])
    with pytest.raises(ConfigError, match=r"a\.tiff: has the name of a\.tif but for the ending.*rename one"):
        check_sidecars([Path("a.tif"), Path("a.tiff")])


def test_a_layer_that_is_gone_leaves_no_item(whole: Path) -> None:
    (whole.parent.parent / "layers" / "uncertainty.tif").unlink()
    with pytest.raises(DataError, match=r"uncertainty\.tif: cannot be read"):
        write(whole)
    assert not whole.with_name("map.stac.json").exists()


def test_a_damaged_item_of_a_run_is_named(whole: Path) -> None:
    (whole.parent.parent / "run" / "stac.json").write_text("{}")
    with pytest.raises(DataError, match=r"run/stac\.json: cannot be read as the item of a run"):
        check_sidecars([Path("a.tif")], whole.parent.parent / "run" / "stac.json")
    with pytest.raises(DataError, match=r"run/stac\.json: cannot be read as the item of a run"):
        write(whole)


def test_files_of_an_older_map_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    path, layer, outlines = write_map(tmp_path / "map.tif", CLASSES), tmp_path / "p.tif", tmp_path / "o.parquet"
    retag(write_layer(layer, ["entropy"]), TIFFTAG_SOFTWARE="cropcam 0", layer="entropy")
    write_sidecars(path)
    paths = {CLASS_MAP: path, PROBABILITY: layer}
    check_files(paths, outlines, [])
    for name, what in (
        ("map.qml", "style"),
        ("p.qml", "style"),
        ("o.qml", "style"),
        ("map.stac.json", "STAC item of a map"),
        ("new.tif.aux.xml", "metadata of a map"),
    ):
        before = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
        (tmp_path / name).write_text("<qgis> as saved by QGIS </qgis>")
        asked = {CLASS_MAP: tmp_path / "new.tif"} if name.startswith("new") else paths
        with pytest.raises(DataError, match=rf"^.*/{name}: is there already and holds no {what} that cropcam wrote; .*give --overwrite"):
            check_files(asked, outlines, [], overwrite=False)
        check_files(asked, outlines, [], overwrite=True)
        (tmp_path / name).unlink() if before is None else (tmp_path / name).write_bytes(before)


def test_a_map_is_no_layer_and_a_layer_no_map(tmp_path: Path) -> None:
    path, layer = write_map(tmp_path / "map.tif", CLASSES), tmp_path / "p.tif"
    retag(write_layer(layer, ["entropy"]), TIFFTAG_SOFTWARE="cropcam 0", layer="entropy")
    with pytest.raises(DataError, match=r"--out .*p\.tif: is there already and holds no map that cropcam wrote"):
        check_files({CLASS_MAP: layer}, None, [])
    with pytest.raises(DataError, match=r"--probabilities .*map\.tif: is there already and holds no layer that cropcam wrote"):
        check_files({CLASS_MAP: tmp_path / "new.tif", PROBABILITY: path}, None, [])


def test_the_style_of_a_geopackage_is_inside_it(tmp_path: Path) -> None:
    (tmp_path / "o.qml").write_text("mine")
    check_files({CLASS_MAP: tmp_path / "map.tif"}, tmp_path / "o.gpkg", [])
    with pytest.raises(DataError, match=r"o\.qml: is there already"):
        check_files({CLASS_MAP: tmp_path / "map.tif"}, tmp_path / "o.parquet", [])


def test_an_item_and_a_style_are_known_by_their_content(whole: Path) -> None:
    write(whole)
    item, style = whole.with_name("map.stac.json"), whole.with_name("map.qml")
    assert (is_item(item), is_style(style), is_item(style), is_style(item)) == (True, True, False, False)
    item.write_text(json.dumps({"properties": {"processing:software": {"other": "1"}}}))
    style.write_text(style.read_text().replace("<!-- made by cropcam -->", ""))  # as QGIS saves it
    assert (is_item(item), is_style(style), is_item(whole.with_name("absent"))) == (False, False, False)
