"""One export of an image into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from cropcam.pipeline.emulator.block_reader import Reader
from cropcam.pipeline.emulator.catalogue import Catalogue
from cropcam.pipeline.emulator.cloud_storage import CloudStorage
from cropcam.pipeline.emulator.drive import Drive
from cropcam.pipeline.emulator.errors import EngineError
from cropcam.pipeline.emulator.exports import PARTIAL, Exporter
from cropcam.pipeline.emulator.fault_injection import Faults
from cropcam.pipeline.emulator.images import Band, BandType, LazyImage
from cropcam.pipeline.emulator.limits import Limits
from cropcam.pipeline.emulator.nodes import Coordinates, Masked
from cropcam.pipeline.emulator.own_assets import OwnAssets
from cropcam.pipeline.emulator.pixels import Apply, Constant
from cropcam.pipeline.emulator.projections import Projection
from cropcam.pipeline.emulator.requests import ExportRequest, parse_export
from cropcam.pipeline.grid import PixelGrid, Window
from support.small_images import GRID

PLACE = PixelGrid(GRID.crs, GRID.transform, 40, 20)
COLUMN = Apply(lambda x: x.astype(np.uint16), Coordinates(GRID.crs, 0, GRID.transform))
COLUMNS = np.broadcast_to(np.arange(40, dtype=np.uint16), (20, 40))  # column 0 is masked


class Progress:
    """A watch that keeps its calls, and ends the export after `most` blocks."""

    def __init__(self, most: int = 1000) -> None:
        self.calls: list[tuple[int, int]] = []
        self.stored = 0
        self._most = most

    def blocks(self, done: int, total: int, cpu_s: float) -> None:
        assert cpu_s >= 0
        self.calls.append((done, total))
        if done >= self._most:
            raise EngineError("User memory limit exceeded.")

    def stores(self) -> None:
        self.stored += 1


def image(node: Any = None, *, bounded: bool = True) -> LazyImage:
    window = Window(0, 0, 20, 40) if bounded else None
    return LazyImage([Band("x", BandType.of("uint16"), node or Masked(COLUMN, COLUMN), Projection(GRID.crs, GRID.transform), window)])


def request(prefix: str = "image", *, bucket: str = "", folder: str = "crops", **geotiff: Any) -> ExportRequest:
    place = {"cloudStorageDestination": {"bucket": bucket}} if bucket else {"driveDestination": {"folder": folder}}
    next(iter(place.values()))["filenamePrefix"] = prefix
    return parse_export(
        {"expression": {"result": "0", "values": {}}, "description": "d", "fileExportOptions": {**place, "geoTiffOptions": geotiff}}
    )


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def exporter(tmp_path: Path, limits: Limits, faults: Faults) -> Iterator[Callable[[LazyImage], Exporter]]:
    reader = Reader(workers=1)
    catalogue = Catalogue(tmp_path)
    stores = Drive(catalogue), CloudStorage(catalogue, limits)
    yield lambda made: Exporter(lambda _: made, reader, limits, tmp_path, *stores, faults, OwnAssets(tmp_path / "assets"))
    reader.close()


def test_an_image_becomes_one_file_on_its_own_grid(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    progress = Progress()
    uris = exporter(image()).run("T", request(noData=7), progress)
    folder = Catalogue(tmp_path).find("drive/crops")
    assert folder is not None
    assert uris == [f"https://drive.google.com/#folders/{folder.id}"]
    with rasterio.open(tmp_path / "drive/crops/image.tif") as file:
        np.testing.assert_array_equal(file.read(1), np.where(COLUMNS == 0, 7, COLUMNS))
        assert (file.nodata, file.descriptions, tuple(file.transform)[:6]) == (7, ("x",), PLACE.transform)
        assert file.tags()["CROPCAM_ENGINE"] == "embedded"
    assert (progress.calls, progress.stored) == ([(1, 1)], 1)


@pytest.mark.parametrize(
    ("dtype", "no_data"), [("float32", -1.5), ("float64", -9999.0), ("int16", -32768), ("int8", -128), ("uint16", None)]
)
def test_64_bands_of_any_type_keep_their_values_and_nodata(
    dtype: str, no_data: float | None, exporter: Callable[[LazyImage], Exporter], tmp_path: Path
) -> None:
    lattice, window = Projection(GRID.crs, GRID.transform), Window(0, 0, 20, 40)
    bands = []
    for number in range(64):
        shifted = Apply(lambda x, number=number: (x - number).astype(dtype), COLUMN)
        bands.append(Band(f"A{number:02}", BandType.of(dtype), Masked(shifted, COLUMN), lattice, window))
    exporter(LazyImage(bands)).run("T", request(**({} if no_data is None else {"noData": no_data})), Progress())
    with rasterio.open(tmp_path / "drive/crops/image.tif") as file:
        assert (file.count, set(file.dtypes), file.nodata) == (64, {dtype}, no_data)
        for number in (1, 64):
            expected = np.where(COLUMNS == 0, no_data or 0, (COLUMNS - np.uint16(number - 1)).astype(dtype))
            np.testing.assert_array_equal(file.read(number), expected)


def test_files_carry_the_row_and_column_of_their_first_pixel(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    progress, size = Progress(), {"width": 16, "height": 16}
    exporter(image()).run("T", request("a/image", bucket="crops", tileDimensions=size, tileSize=16), progress)
    offsets = [(row, col) for row in (0, 16) for col in (0, 16, 32)]
    names = [f"image-{row:010}-{col:010}.tif" for row, col in offsets]
    assert sorted(path.name for path in (tmp_path / "gs/crops/a").iterdir()) == names
    assert progress.calls == [(done, 6) for done in range(1, 7)]
    for (row, col), name in zip(offsets, names, strict=True):
        with rasterio.open(tmp_path / "gs/crops/a" / name) as file:
            np.testing.assert_array_equal(file.read(1), COLUMNS[row : row + 16, col : col + 16])


def test_a_failed_export_keeps_its_whole_files_and_no_partial_ones(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="User memory limit exceeded"):
        exporter(image()).run("T", request(tileDimensions={"width": 16, "height": 16}, tileSize=16), Progress(most=3))
    assert len(list((tmp_path / "drive/crops").iterdir())) == 2
    assert list((tmp_path / PARTIAL).iterdir()) == []


def test_empty_files_are_skipped_on_request(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    empty = image(Constant(1, "uint16", valid=False))
    exporter(empty).run("T", request("kept"), Progress())
    exporter(empty).run("T", request("skipped", skipEmptyFiles=True), Progress())
    exporter(image()).run("T", request("full", skipEmptyFiles=True), Progress())
    assert sorted(path.name for path in (tmp_path / "drive/crops").iterdir()) == ["full.tif", "kept.tif"]


def test_bad_exports_write_nothing(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"Unable to export unbounded image\."):
        exporter(image(bounded=False)).run("T", request(), Progress())
    with pytest.raises(EngineError, match="The noData value -1 is out of range"):
        exporter(image()).run("T", request(noData=-1), Progress())
    assert list(tmp_path.iterdir()) == []


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_second_export_of_one_name_lies_beside_the_first_on_drive(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    uris = [exporter(image()).run(f"T{number}", request(), Progress()) for number in range(2)]
    assert uris[0] == uris[1]
    assert names(tmp_path / "drive/crops") == ["image (1).tif", "image.tif"]


def test_a_second_export_of_one_name_replaces_the_first_in_a_bucket(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    places = [exporter(image()).run("T", request("a/b/image", bucket="crops", noData=value), Progress()) for value in (7, 8)]
    assert places == [["https://console.developers.google.com/storage/browser/crops/a/b"]] * 2
    assert names(tmp_path / "gs/crops/a/b") == ["image.tif"]
    with rasterio.open(tmp_path / "gs/crops/a/b/image.tif") as file:
        assert file.nodata == 8


def test_on_order_a_task_makes_a_second_folder_and_later_ones_use_it(
    exporter: Callable[[LazyImage], Exporter], tmp_path: Path, faults: Faults
) -> None:
    faults.order([{"route": "export:folder", "kind": "new_folder", "after": 1}])
    uris = [exporter(image()).run("T", request(f"image{number}"), Progress())[0] for number in range(3)]
    assert uris[0] != uris[1] == uris[2]
    assert names(tmp_path / "drive/crops") == ["image0.tif"]
    assert names(tmp_path / "drive/crops (1)") == ["image1.tif", "image2.tif"]


@pytest.mark.parametrize("limits", [Limits(make_buckets=False), Limits(closed_buckets=frozenset({"crops"}))])
def test_an_export_fails_where_the_bucket_cannot_be_written_to(exporter: Callable[[LazyImage], Exporter], tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"storage\.objects\.create access|The specified bucket does not exist"):
        exporter(image()).run("T", request(bucket="crops"), Progress())
    assert not (tmp_path / "gs").exists()
