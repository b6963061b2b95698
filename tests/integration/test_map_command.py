"""`cropcam map` from the command line to files, and each bad input as one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rio_cogeo import cog_validate
from scipy import ndimage
from scipy.stats import entropy

from cropcam.cli import main
from cropcam.pipeline.grid import PixelGrid
from support.clusters import local_cluster
from support.mapped_runs import HEIGHT, WIDTH, make_fitted_run, make_image
from support.memory_source import LEGEND, make_grid
from support.rasters import write_raster
from support.stores import make_store
from support.vectors import write_vectors

GRID = make_grid(HEIGHT, WIDTH)
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("command")
    make_fitted_run(folder / "run")
    make_image(folder)
    return folder


def run(place: Path, out: Path, *words: object, image: list[Path] | None = None) -> int:
    files = image or sorted(place.glob("scene_*.tif"))
    return main(["map", str(place / "run"), "--image", *map(str, files), "--out", str(out), "--device", "cpu", *map(str, words)])


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        assert (file.crs.to_string(), tuple(file.transform)[:6], file.shape) == (GRID.crs, GRID.transform, GRID.shape_yx)
        values = file.read()
        return values[0] if len(values) == 1 else values


def box(top: int, left: int, bottom: int, right: int) -> shapely.Polygon:
    a, _, c, _, e, f = GRID.transform
    return shapely.box(c + a * left, f + e * bottom, c + a * right, f + e * top)


def valid_of(place: Path) -> np.ndarray:
    return np.all([read(path) != 0 for path in place.glob("scene_*.tif")], axis=0)


@pytest.fixture(scope="module")
def plain(place: Path) -> np.ndarray:
    """The class map without options."""
    assert run(place, place / "plain" / "map.tif", "--probabilities", place / "plain" / "p.tif") == 0
    return read(place / "plain" / "map.tif")


def test_every_output_of_one_map(place: Path, tmp_path: Path, plain: np.ndarray, capsys: Capture) -> None:
    capsys.readouterr()
    names = {"probabilities": "p.tif", "uncertainty": "u.tif", "polygons": "o.gpkg"}
    words = [word for option, name in names.items() for word in (f"--{option}", tmp_path / name)]
    assert run(place, tmp_path / "map.tif", *words, "--simplify", "40", "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    classes, shares, unsure = (read(tmp_path / name) for name in ("map.tif", "p.tif", "u.tif"))
    valid = valid_of(place)
    np.testing.assert_array_equal(classes, plain)
    np.testing.assert_array_equal(classes != 255, valid)
    for name in ("map.tif", "p.tif", "u.tif"):
        assert cog_validate(tmp_path / name, strict=True, quiet=True) == (True, [], [])
    ordered = np.sort(shares[:, valid].astype(int), axis=0)
    np.testing.assert_array_equal(shares[:, valid].argmax(axis=0), classes[valid])
    assert (ordered[-1] > ordered[-2]).all()
    assert (np.abs(shares[:, valid].astype(int).sum(axis=0) - 250) <= len(LEGEND)).all()
    assert (shares[:, ~valid] == 255).all()
    assert (unsure[~valid] == 255).all()
    exact = 250 * entropy(shares[:, valid].astype(float), axis=0) / np.log(len(LEGEND))
    assert np.abs(unsure[valid] - exact).max() < 6  # shares are rounded
    outlines = geopandas.read_file(tmp_path / "o.gpkg", layer="polygons")
    pixels = outlines.groupby("class")["pixels"].sum().to_dict()
    assert {name: pixels.get(name, 0) for name in LEGEND.names} == summary["class_pixels"]
    assert sum(summary["class_pixels"].values()) == valid.sum()
    assert summary["nodata_pixels"] == (~valid).sum()
    np.testing.assert_allclose(sum(summary["class_hectares"].values()), valid.sum() * 0.09, rtol=2e-3)
    assert summary["files"] == [str(tmp_path / name) for name in ("map.tif", "p.tif", "u.tif", "o.gpkg", "map.stac.json")]
    assert all(Path(path).is_file() for path in summary["files"])
    item = json.loads((tmp_path / "map.stac.json").read_text())
    assert {"classes", "probabilities", "uncertainty", "polygons"} <= item["assets"].keys()
    with rasterio.open(tmp_path / "map.tif") as file:
        assert (file.tags()["probabilities"], file.tags()["uncertainty"], file.tags()["method"]) == ("p.tif", "u.tif", "spectral")
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("method", ["cam-argmax", "score-argmax"])
def test_another_method(place: Path, tmp_path: Path, plain: np.ndarray, method: str) -> None:
    assert run(place, tmp_path / "map.tif", "--method", method, "--probabilities", tmp_path / "p.tif") == 0
    classes, shares = read(tmp_path / "map.tif"), read(tmp_path / "p.tif")
    valid = classes != 255
    np.testing.assert_array_equal(shares[:, valid].argmax(axis=0), classes[valid])
    assert (classes != plain).any()
    with rasterio.open(tmp_path / "map.tif") as file:
        assert file.tags()["method"] == method


def test_known_areas_as_numbers_and_as_a_file_are_met(place: Path, tmp_path: Path, capsys: Capture) -> None:
    share = (0.1, 0.4, 0.2, 0.3, 0.0)
    areas = {name: [1000 * value] for name, value in zip(LEGEND.names, share, strict=True)}
    write_vectors(tmp_path / "areas.geojson", [box(0, 0, HEIGHT, WIDTH)], areas, GRID.crs, "EPSG:4326")
    found = []
    for name, words in {"one": ["--class-prior", ",".join(map(str, share))], "two": ["--areas", tmp_path / "areas.geojson"]}.items():
        out = tmp_path / name / "map.tif"
        assert run(place, out, *words, "--probabilities", out.with_name("p.tif"), "--json") == 0
        summary = json.loads(capsys.readouterr().out)
        np.testing.assert_allclose([summary["known_shares"][name] for name in LEGEND.names], share, atol=1e-6)
        assert sum(summary["unshifted_hectares"].values()) == pytest.approx(sum(summary["class_hectares"].values()), rel=1e-6)
        shares, classes = read(out.with_name("p.tif")), read(out)
        valid = classes != 255
        np.testing.assert_allclose(shares[:, valid].mean(axis=1) / 250, share, atol=0.01)  # of a sample of the pixels
        np.testing.assert_array_equal(shares[:, valid].argmax(axis=0), classes[valid])
        found.append(shares)
    np.testing.assert_array_equal(*found)
    assert run(place, tmp_path / "three.tif", "--class-prior", ",".join(map(str, share))) == 0
    text = capsys.readouterr().out
    assert "known areas (known: before -> after the shift): background 10.0%: " in text
    assert "grassland 0.0%: " in text
    with rasterio.open(tmp_path / "three.tif") as file:
        assert file.tags()["known_areas"] == "--class-prior: 0.1 0.4 0.2 0.3 0"


def test_a_region(place: Path, tmp_path: Path, plain: np.ndarray) -> None:
    write_vectors(tmp_path / "region.gpkg", [box(10, 20, 100, 90)], {"name": ["a"]}, GRID.crs, "EPSG:5070")
    assert run(place, tmp_path / "map.tif", "--region", tmp_path / "region.gpkg", "--uncertainty", tmp_path / "u.tif") == 0
    inside = np.zeros(GRID.shape_yx, bool)
    inside[10:100, 20:90] = True
    found = read(tmp_path / "map.tif")
    differ = found != np.where(inside, plain, 255)
    assert differ.mean() < 0.01  # pixels on the region's edge: a straight line in another CRS
    np.testing.assert_array_equal(read(tmp_path / "u.tif") == 255, found == 255)


def test_sieve_and_smoothing(place: Path, tmp_path: Path, plain: np.ndarray) -> None:
    def patches(classes: np.ndarray) -> int:
        return sum(int(ndimage.label(classes == index)[1]) for index in range(len(LEGEND)))

    assert run(place, tmp_path / "sieved.tif", "--sieve", "0.9", "--probabilities", tmp_path / "p.tif") == 0
    assert run(place, tmp_path / "smooth.tif", "--smooth", "--probabilities", tmp_path / "ps.tif") == 0
    sieved, smooth = read(tmp_path / "sieved.tif"), read(tmp_path / "smooth.tif")
    for found in (sieved, smooth):
        np.testing.assert_array_equal(found == 255, plain == 255)
        assert patches(found) < 0.8 * patches(plain)
    np.testing.assert_array_equal(read(tmp_path / "p.tif"), read(place / "plain" / "p.tif"))  # the sieve is of the class map alone
    shares = read(tmp_path / "ps.tif")
    valid = smooth != 255
    np.testing.assert_array_equal(shares[:, valid].argmax(axis=0), smooth[valid])
    with rasterio.open(tmp_path / "smooth.tif") as one, rasterio.open(tmp_path / "sieved.tif") as two:
        assert (one.tags()["smoothness"], two.tags()["sieve_ha"]) == ("10", "0.9")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two threads in this process."""
    with local_cluster() as found:
        yield found


@pytest.mark.usefixtures("plain")
def test_a_cluster_makes_the_same_map(place: Path, tmp_path: Path, address: str) -> None:
    assert run(place, tmp_path / "map.tif", "--scheduler", address, "--probabilities", tmp_path / "p.tif") == 0
    assert (tmp_path / "map.tif").read_bytes() == (place / "plain" / "map.tif").read_bytes()
    assert (tmp_path / "p.tif").read_bytes() == (place / "plain" / "p.tif").read_bytes()


def refused(capsys: Capture, place: Path, out: Path, *words: object, image: list[Path] | None = None) -> tuple[int, str]:
    """The exit status and the one line of a command that is refused; it leaves nothing."""
    capsys.readouterr()
    there = {path: path.read_bytes() for path in out.parent.iterdir() if path.is_file()} if out.parent.is_dir() else {}
    status = run(place, out, *words, image=image)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = [line for line in printed.err.splitlines() if line.startswith("cropcam: ")]
    assert len(lines) == 1, printed.err
    assert "Traceback" not in printed.err
    after = {path: path.read_bytes() for path in out.parent.iterdir() if path.is_file()} if out.parent.is_dir() else {}
    assert after == there
    return status, lines[0].removeprefix("cropcam: ")


def check(found: tuple[int, str], status: int, *parts: str) -> None:
    assert found[0] == status, found[1]
    for part in parts:
        assert part in found[1]


def test_bands_that_are_too_few_or_of_other_names(place: Path, tmp_path: Path, capsys: Capture) -> None:
    image = sorted(place.glob("scene_*.tif"))
    check(refused(capsys, place, tmp_path / "map.tif", image=image[:2]), 3, "2 bands in 2 file(s), the study has 3 (SR_B4, SR_B5, SR_B6)")
    check(refused(capsys, place, tmp_path / "map.tif", image=[*image, image[0]]), 3, "4 bands in 4 file(s), the study has 3")
    check(refused(capsys, place, tmp_path / "map.tif", image=[*image[:2], image[0]]), 3, "SR_B4, SR_B5, SR_B4", "SR_B6")
    other = tmp_path / "scene_20160831_SR_B7.tif"
    shutil.copy(image[2], other)
    check(
        refused(capsys, place, tmp_path / "map.tif", image=[*image[:2], other]),
        3,
        "the study has SR_B4, SR_B5, SR_B6; give each of these once",
    )


def test_one_file_whose_bands_are_of_other_names(place: Path, tmp_path: Path, capsys: Capture) -> None:
    dn = np.stack([read(path) for path in sorted(place.glob("scene_*.tif"))])
    path = write_raster(tmp_path / "image.tif", dn, GRID, names=("SR_B4", "SR_B5", "SR_B7"), nodata=0)
    status, line = refused(capsys, place, tmp_path / "map.tif", image=[path])
    assert (status, "SR_B4, SR_B5, SR_B7" in line) == (3, True), line


def test_files_of_another_grid_type_or_scale(place: Path, tmp_path: Path, capsys: Capture) -> None:
    image = sorted(place.glob("scene_*.tif"))
    moved = write_raster(
        tmp_path / "scene_SR_B6.tif", read(image[2]), PixelGrid(GRID.crs, (30.0, 0.0, 0.0, 0.0, -30.0, 0.0), WIDTH, HEIGHT), nodata=0
    )
    check(refused(capsys, place, tmp_path / "map.tif", image=[*image[:2], moved]), 3, "all image files must share one grid")
    small = write_raster(tmp_path / "other" / "scene_SR_B6.tif", read(image[2])[:100], make_grid(100, WIDTH), nodata=0)
    check(
        refused(capsys, place, tmp_path / "map.tif", image=[*image[:2], small]),
        3,
        f"{WIDTH} x 100 px",
        "all image files must share one grid",
    )
    kind = write_raster(tmp_path / "kind" / "scene_SR_B6.tif", read(image[2]).astype(np.float32), GRID, nodata=0)
    check(refused(capsys, place, tmp_path / "map.tif", image=[*image[:2], kind]), 3, "the image files differ in type")


def test_a_store_of_other_bands(place: Path, tmp_path: Path, capsys: Capture) -> None:
    make_store(tmp_path / "s.zarr", count=4, size_px=16)
    assert main(["map", str(place / "run"), "--store", str(tmp_path / "s.zarr"), "--out", str(tmp_path / "map.tif")]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert "7 bands (SR_B1, SR_B2," in line
    assert "was trained on 3 (SR_B4, SR_B5, SR_B6)" in line


def test_no_pixel_with_data(place: Path, tmp_path: Path, capsys: Capture) -> None:
    image = [
        write_raster(tmp_path / path.name, np.zeros(GRID.shape_yx, np.uint16), GRID, nodata=0) for path in sorted(place.glob("scene_*.tif"))
    ]
    out = tmp_path / "maps" / "map.tif"
    check(refused(capsys, place, out, image=image), 3, "every pixel is nodata in some band; there is nothing to map")
    check(refused(capsys, place, out, "--class-prior", "1,1,1,1,1", image=image), 3, "no pixel with data to shift to --class-prior")
    assert not list(out.parent.glob("*"))


def test_regions_that_do_not_fit(place: Path, tmp_path: Path, capsys: Capture) -> None:
    away = write_vectors(tmp_path / "away.geojson", [box(0, 9000, 50, 9100)], {"name": ["a"]}, GRID.crs, "EPSG:4326")
    check(refused(capsys, place, tmp_path / "map.tif", "--region", away), 3, "away.geojson: no polygon meets the raster, which lies at")
    metres = tmp_path / "metres.geojson"  # RFC 7946 knows degrees alone
    metres.write_text(shapely.to_geojson(box(0, 0, 50, 50)))
    status, line = refused(capsys, place, tmp_path / "map.tif", "--region", metres)
    assert status in (2, 3)
    assert "metres.geojson" in line
    check(refused(capsys, place, tmp_path / "map.tif", "--region", tmp_path / "absent.geojson"), 2, "absent.geojson")
    thin = write_vectors(tmp_path / "thin.geojson", [box(10.6, 20.6, 10.9, 20.9)], {"name": ["a"]}, GRID.crs, "EPSG:4326")
    check(refused(capsys, place, tmp_path / "map.tif", "--region", thin), 3, f"--region {thin}: no pixel has its centre inside")
    nodata = write_vectors(tmp_path / "nodata.geojson", [box(2, 2, 8, 8)], {"name": ["a"]}, GRID.crs, "EPSG:4326")
    check(
        refused(capsys, place, tmp_path / "map.tif", "--region", nodata),
        3,
        f"every pixel inside {nodata} is nodata in some band; there is nothing to map",
    )


def test_outputs_that_are_inputs_other_outputs_or_folders(place: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "map.tif"
    image = sorted(place.glob("scene_*.tif"))
    before = image[0].read_bytes()
    check(refused(capsys, place, image[0]), 3, f"{image[0]}: is an input of this command; choose another name")
    check(refused(capsys, place, out, "--uncertainty", image[0]), 3, "is an input of this command")
    assert image[0].read_bytes() == before
    region = write_vectors(tmp_path / "region.geojson", [box(10, 20, 100, 90)], {"name": ["a"]}, GRID.crs, "EPSG:4326")
    check(refused(capsys, place, Path(region), "--region", region), 3, "region.geojson: is an input of this command")
    check(refused(capsys, place, out, "--probabilities", out), 2, "map.tif: is named for two outputs; give each its own file")
    check(
        refused(capsys, place, out, "--probabilities", tmp_path / "p.tif", "--uncertainty", tmp_path / "p.tif"),
        2,
        "is named for two outputs",
    )
    check(refused(capsys, place, out, "--polygons", out), 2, "map.tif")
    check(refused(capsys, place, out, "--probabilities", tmp_path / "map.tiff"), 2, "rename one")
    (tmp_path / "folder").mkdir()
    check(refused(capsys, place, tmp_path / "folder"), 3, "folder: is a folder; give the file name of the map")
    check(refused(capsys, place, out, "--uncertainty", tmp_path / "folder"), 3, "is a folder; give the file name of the layer")
    (tmp_path / "folder.gpkg").mkdir()
    check(refused(capsys, place, out, "--polygons", tmp_path / "folder.gpkg"), 3, "is a folder; give the file name of the polygons")
    check(
        refused(capsys, place, out, "--polygons", tmp_path / "o.shp"),
        2,
        "does not fit the kind of the file (polygons); end the name in .parquet, .geoparquet or .gpkg",
    )


def test_an_earlier_files_outlines_are_no_region_and_output_at_once(place: Path, tmp_path: Path, capsys: Capture) -> None:
    outlines = tmp_path / "o.gpkg"
    assert run(place, tmp_path / "map.tif", "--polygons", outlines) == 0
    check(
        refused(capsys, place, tmp_path / "map.tif", "--region", outlines, "--polygons", outlines), 3, "o.gpkg: is an input of this command"
    )


def test_methods_and_priors_that_are_not_there(place: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "map.tif"
    check(
        refused(capsys, place, out, "--method", "best"),
        2,
        "--method best: ",
        " has cam-argmax, score-argmax, spectral; its default is spectral",
    )
    check(refused(capsys, place, out, "--class-prior", "1,1"), 2, "--class-prior has 2 shares, the run has 5 classes")
    check(refused(capsys, place, out, "--class-prior=-1,1,1,1,1"), 2, "give areas or shares of 0 or more")
    check(refused(capsys, place, out, "--simplify", "20"), 2, "--simplify 20 goes with --polygons FILE")
    check(refused(capsys, place, out, "--areas", tmp_path / "absent.geojson"), 3, "absent.geojson")
    columns = {"corn": [-5.0], "soybean": [1.0]}
    areas = write_vectors(tmp_path / "areas.geojson", [box(0, 0, 50, 50)], columns, GRID.crs, "EPSG:4326")
    check(refused(capsys, place, out, "--areas", areas), 3, "areas.geojson", "feature 1")


def test_a_shift_layer_needs_what_the_run_has_seen(place: Path, tmp_path: Path, capsys: Capture) -> None:
    check(refused(capsys, place, tmp_path / "map.tif", "--shift", tmp_path / "s.tif"), 3, "made-up.zarr, which is missing")


def test_a_run_that_is_not_fitted(place: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copytree(place / "run", tmp_path / "run")
    (tmp_path / "run" / "segment.json").unlink()
    for path in place.glob("scene_*.tif"):
        shutil.copy(path, tmp_path / path.name)
    check(
        refused(capsys, tmp_path, tmp_path / "m" / "map.tif", "--method", "spectral"),
        3,
        "its segmentation (spectral) is not fitted yet; run: cropcam evaluate",
    )
    check(
        refused(capsys, tmp_path, tmp_path / "m" / "map.tif", "--method", "best"),
        2,
        "--method best: no such method; choose one of cam-argmax, score-argmax,",
    )
