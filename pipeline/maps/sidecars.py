"""The files beside a map that describe it: STEM.stac.json, and STEM.qml for each of its rasters. The map's tags name them and hold the same facts.

A writer removes the old ones before it publishes a new map (`remove_sidecars`) and writes the new ones after it (`write_sidecars`), the item
last. So an item never describes another map than the one beside it, and where it is, everything it names is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from cropcam.pipeline.class_columns import CLASS
from cropcam.pipeline.errors import ConfigError, DataError
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps import stac
from cropcam.pipeline.maps.class_map import open_map
from cropcam.pipeline.maps.cog import disk_errors, is_class_map, is_layer, is_metadata_of_map, metadata_path
from cropcam.pipeline.maps.outlines import polygons_output
from cropcam.pipeline.maps.qml import MARK, class_qml, distance_qml, probability_qml, uncertainty_qml, vector_qml
from cropcam.pipeline.maps.window_job import ACTIVATION, CLASSES, ENTROPY, LAYER, PROBABILITY
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.runtime.atomic import atomic_write
from cropcam.pipeline.runtime.outputs import Output, check_outputs, is_marked, json_object

ITEM, STYLE = ".stac.json", ".qml"
OPTIONS = {CLASSES: "--out", PROBABILITY: "--probabilities", ENTROPY: "--uncertainty", ACTIVATION: "", LAYER: "--shift"}
LAYERS = {  # tags of a map, with the names of the files that were made with it
    "probabilities": "Probability of each class",
    "uncertainty": "Uncertainty: entropy of the class probabilities over that of equal ones",
    "shift": "Feature distance to the training data; above 1 = unlike it",
}


def item_path(path: Path) -> Path:
    """Where the item of a map lies."""
    return path.parent / (path.stem + ITEM)


def style_path(path: Path) -> Path:
    """Where the style of a raster lies: QGIS loads it with the raster."""
    return path.parent / (path.stem + STYLE)


def sidecar_tags(path: Path, seasons: Iterable[stac.Season]) -> dict[str, str]:
    """The tags of a map that name its item and its seasons (START/END, the end exclusive)."""
    named = " ".join(f"{start}/{end}" for start, end in seasons)
    return {"stac": item_path(path).name, **({"seasons": named} if named else {})}


def check_files(
    paths: Mapping[str, Path],
    polygons: Path | None,
    inputs: Iterable[Path | None],
    *,
    run: Path | None = None,
    overwrite: bool | None = None,
) -> None:
    """Refuse, before any work, the files of a map where one cannot be written or would replace something else, and a damaged item of the run.

    Args:
        paths: the map and the rasters made with it, by layer.
        polygons: of its outlines.
        inputs: all files and folders that are read.
        run: the item of the run.
        overwrite: replace files that are not of a map; never an input.

    Raises:
        ConfigError: a name that does not fit, or two files of one name.
        DataError: another file is there; the item of the run cannot be read.
    """
    rasters = [
        Output(path, OPTIONS[name], *(("map", is_class_map) if name == CLASSES else ("layer", is_layer))) for name, path in paths.items()
    ]
    styled = dict.fromkeys(style_path(path) for name, path in paths.items() if name != ACTIVATION)
    if polygons is not None and _has_style(polygons):
        styled[style_path(polygons)] = None
    beside = [Output(metadata_path(path), "", "metadata of a map", is_metadata_of_map) for path in paths.values()]
    beside += [Output(path, "", "style", is_style) for path in styled]
    beside += [Output(item_path(paths[CLASSES]), "", "STAC item of a map", is_item)]
    outlines = [polygons_output(polygons)] if polygons is not None else []
    check_outputs([*rasters, *outlines, *beside], inputs, overwrite=overwrite)
    check_sidecars(list(paths.values()), run)


def is_style(path: Path) -> bool:
    """Whether a file is a style as it was written here. One that QGIS has saved since is the user's."""
    return is_marked(path, MARK.encode())


def is_item(path: Path) -> bool:
    """Whether a file is the STAC item of a map of cropcam's."""
    return "cropcam" in json_object(path, "properties", "processing:software")


def check_sidecars(paths: Sequence[Path], run: Path | None = None) -> None:
    """Refuse, before any work, rasters whose styles would be one file, and a damaged item of the run.

    Raises:
        ConfigError: names both rasters.
        DataError: the item of the run cannot be read.
    """
    _run(run)
    styles: dict[Path, Path] = {}
    for path in paths:
        other = styles.setdefault(style_path(path).absolute(), path)
        if other is not path:
            raise ConfigError(
                f"{path}: has the name of {other} but for the ending, so both would have the style {style_path(path)}; rename one"
            )


def remove_sidecars(path: Path) -> None:
    """Remove the item and the style of an older map; call it before a new one is published.

    Raises:
        DataError: the disk refuses.
    """
    with disk_errors(path):
        for file in (item_path(path), style_path(path)):
            file.unlink(missing_ok=True)


def write_sidecars(path: Path, *, polygons: Path | None = None, run: Path | None = None) -> Path:
    """Write the styles of a finished map and of the layers that its tags name, and the item of all of them; the path of the item.

    Args:
        path: the map, published, as are its layers.
        polygons: of its outlines. A GeoPackage has its style inside; another file gets one beside it.
        run: the item of the run that made the map; no link where it is absent.

    Raises:
        DataError: no map, a layer is absent or damaged, or the disk refuses.
    """
    opened = open_map(path)
    legend, folder = opened.legend, path.parent
    files = {"classes": path} | {name: folder / opened.tags[name] for name in LAYERS if opened.tags.get(name)}
    check_sidecars(list(files.values()))
    styles = {"classes": class_qml(legend)} | {name: _style(name, legend) for name in files if name in LAYERS}
    assets = {"classes": _raster(path, folder, "Class of each pixel", ["class"], stac.classes(legend))}
    assets |= {name: _raster(files[name], folder, LAYERS[name]) for name in files if name in LAYERS}
    if polygons is not None:
        assets["polygons"] = stac.asset(polygons, folder, "Outlines of areas of one class", ["data"])
        if _has_style(polygons) and style_path(polygons) not in map(style_path, files.values()):
            files["polygons"], styles["polygons"] = polygons, vector_qml(legend, CLASS)
    for name, text in styles.items():
        with disk_errors(path):
            atomic_write(style_path(files[name]), text)
        assets[f"{name}-style"] = stac.asset(
            style_path(files[name]), folder, f"Style of {files[name].name} for QGIS", ["metadata", "style"]
        )
    item = stac.map_item(opened, item_path(path), assets, _run(run))
    with disk_errors(path):
        atomic_write(item_path(path), stac.as_text(item))
    return item_path(path)


def raster_bands(path: Path, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The bands of a raster, as its file has them: name, type, nodata, scale and offset.

    Args:
        path: of the raster.
        names: instead of the names in the file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with rasterio.open(path) as dataset:
            found = zip(dataset.descriptions, dataset.dtypes, dataset.nodatavals, dataset.scales, dataset.offsets, strict=True)
            bands = [_band(index, *each) for index, each in enumerate(found, 1)]
    except UNREADABLE as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}); make the map again") from None
    return [{**band, "name": name} for band, name in zip(bands, names, strict=True)] if names else bands


def _has_style(polygons: Path) -> bool:
    """Whether outlines have their style beside them: a GeoPackage has it inside."""
    return polygons.suffix.casefold() != ".gpkg"


def _band(index: int, name: str | None, dtype: str, nodata: float | None, scale: float, offset: float) -> dict[str, Any]:
    scaled = {"raster:scale": scale, "raster:offset": offset} if (scale, offset) != (1.0, 0.0) else {}
    return {"name": name or f"band {index}", "data_type": dtype, **stac.missing(nodata), "raster:sampling": "area", **scaled}


def _style(name: str, legend: Legend) -> str:
    return {"probabilities": lambda: probability_qml(legend), "uncertainty": uncertainty_qml, "shift": distance_qml}[name]()


def _raster(path: Path, folder: Path, title: str, names: Sequence[str] = (), classes: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    bands = raster_bands(path, names)
    if classes:
        bands = [{**band, "classification:classes": list(classes)} for band in bands]
    return stac.asset(path, folder, title, ["data"], bands=bands)


def _run(item: Path | None) -> tuple[Path, str] | None:
    """The item of a run and the name of its model; None where it is not there."""
    if item is None or not item.is_file():
        return None
    try:
        return item, str(json.loads(item.read_text("utf-8"))["properties"]["mlm:name"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{item}: cannot be read as the item of a run; train the run again with --resume, which writes it anew") from None
