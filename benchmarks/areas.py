"""Areas of a map against the true ones: illinois-2023, where CDL gives every pixel a class.

    python -m benchmarks.areas --out DIR --run NAME=RUN [NAME=RUN ...] [--data DIR] [--standard-error 0.015] [--samples 100]

For each run: `cropcam map` of the scene inside the extent of CDL, `cropcam sample` with an expected user's accuracy of .8 of each class, the
class of each point from CDL, `cropcam area --reference`. The table has, for each class, CDL's hectares (geodesic, on the map's pixels),
the mapped hectares, and the adjusted ones with their 95 % interval. Then so many samples with other seeds are drawn, and of each class the share of
intervals that hold CDL's hectares is counted; it should be .95.

CDL is here the reference, not the truth on the ground. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import numpy.typing as npt
import pandas as pd
import rasterio
import shapely

from benchmarks import at_least_one
from benchmarks.places import DATA
from cropcam.cli import main as cropcam
from cropcam.pipeline.crs import transform_points
from cropcam.pipeline.grid import Window
from cropcam.pipeline.maps.area_report import as_text, map_areas
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.pixel_areas import pixel_hectares
from cropcam.pipeline.maps.sample_files import write_sample
from cropcam.pipeline.maps.windows import NODATA_CLASS
from cropcam.pipeline.rasters.label_mosaic import open_labels

SCENE, LABELS = "illinois-2023", "2023_30m_cdls.tif"
EXPECTED = 0.8
EDGE_M = 100.0


def extent(labels: Path, out: Path) -> Path:
    """The outline of the label raster, a few pixels in from its edge, which is bent on the map's grid; as a GeoPackage."""
    with rasterio.open(labels) as dataset:
        inner = shapely.box(*dataset.bounds).buffer(-EDGE_M, join_style="mitre")
        geopandas.GeoDataFrame(geometry=[inner], crs=dataset.crs).to_file(out, driver="GPKG")
    return out


def reference_classes(opened: FinishedMap, labels: Path) -> npt.NDArray[np.uint8]:
    """CDL's class index (Y, X) of each pixel of the map, 255 where CDL has none or the map is nodata."""
    whole = Window(0, 0, *opened.grid.shape_yx)
    classes_YX = opened.legend.index(open_labels([labels], opened.grid, opened.legend.table).read(whole))
    for window, mapped_YX in opened.blocks():
        classes_YX[window.slices][mapped_YX == NODATA_CLASS] = NODATA_CLASS
    return classes_YX


def adjusted(path: Path, opened: FinishedMap, truth_YX: npt.NDArray[np.uint8], out: Path, seed: int, error: float) -> dict[str, Any]:
    """Draw a sample, fill in CDL's classes and measure."""
    expected = dict.fromkeys(opened.legend.names, EXPECTED)
    drawn = write_sample(path, out, seed=seed, expected=expected, standard_error=error)
    table = pd.read_csv(drawn.csv)
    row, col = opened.grid.index(*transform_points("EPSG:4326", opened.grid.crs, table["lon"], table["lat"]))
    table["class"] = np.array(opened.legend.names)[truth_YX[row, col]]
    filled = out.with_name(f"filled-{out.name}")
    table.to_csv(filled, index=False)
    for file in (drawn.csv, drawn.geopackage):
        file.unlink()
    return map_areas(path, reference=filled)


def measured(name: str, run: Path, folder: Path, data: Path, error: float, samples: int) -> dict[str, Any]:
    """One run: its map, CDL's hectares, a sample, and how often intervals of further samples hold CDL's hectares."""
    scene, path = data / SCENE, folder / f"{name}.tif"
    labels = scene / LABELS
    images = [str(file) for file in sorted(scene.glob("LC08*_SR_B?.TIF"))]
    region = str(extent(labels, folder / "extent.gpkg"))
    if code := cropcam(["map", str(run), "--image", *images, "--region", region, "--out", str(path)]):
        raise SystemExit(code)
    opened = open_map(path)
    truth_YX = reference_classes(opened, labels)
    mapped_YX = np.concatenate([classes.ravel() for _, classes in opened.blocks()])
    if (lost := int((truth_YX == NODATA_CLASS).sum() - (mapped_YX == NODATA_CLASS).sum())) > 0:
        raise SystemExit(f"{lost:,} mapped pixels have no class in {labels}")
    hectares_YX = np.broadcast_to(pixel_hectares(opened.grid, Window(0, 0, *opened.grid.shape_yx)), truth_YX.shape)
    names = opened.legend.names
    true_K = np.bincount(truth_YX.ravel(), hectares_YX.ravel(), NODATA_CLASS + 1)[: len(names)]
    first = adjusted(path, opened, truth_YX, folder / f"{name}-0.csv", 0, error)
    print(f"\n{name}\n{as_text(first)}\n")
    held_K = np.zeros(len(names))
    for seed in range(1, samples + 1):
        found = adjusted(path, opened, truth_YX, folder / f"{name}-further.csv", seed, error)
        for k, row in enumerate(found["classes"]):
            low, high = row["adjusted_hectares_ci95"]
            held_K[k] += low <= true_K[k] <= high
    rows = [
        {
            "class": row["name"],
            "cdl_ha": round(float(true), 1),
            "mapped_ha": round(row["hectares"], 1),
            "adjusted_ha": round(row["adjusted_hectares"], 1),
            "margin_ha": round((row["adjusted_hectares_ci95"][1] - row["adjusted_hectares_ci95"][0]) / 2, 1),
            "held": round(held / samples, 3),
        }
        for row, true, held in zip(first["classes"], true_K, held_K, strict=True)
    ]
    return {"points": first["points"], "overall_accuracy": round(first["overall_accuracy"], 4), "classes": rows}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", nargs="+", required=True, metavar="NAME=RUN")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--standard-error", type=float, default=0.015)
    parser.add_argument("--samples", type=at_least_one, default=100)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    runs = dict(text.split("=", 1) for text in args.run)
    found = {name: measured(name, Path(run), args.out, args.data, args.standard_error, args.samples) for name, run in runs.items()}
    print("| run | class | CDL, ha | mapped, ha | adjusted, ha | intervals that hold CDL |\n|---|---|---|---|---|---|")
    for name, result in found.items():
        for row in result["classes"]:
            change = f"{row['mapped_ha']:,.0f} ({row['mapped_ha'] / row['cdl_ha'] - 1:+.1%})"
            estimate = f"{row['adjusted_ha']:,.0f} +- {row['margin_ha']:,.0f}"
            print(f"| {name} | {row['class']} | {row['cdl_ha']:,.0f} | {change} | {estimate} | {row['held']:.2f} |")
    print(json.dumps({"data": SCENE, "standard_error": args.standard_error, "samples": args.samples, "runs": found}))


if __name__ == "__main__":
    main()
