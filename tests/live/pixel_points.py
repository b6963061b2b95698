"""Questions about pixels: each is one or a few small requests."""

from __future__ import annotations

from typing import Any

import ee
import numpy as np

from cropcam.pipeline.earthengine.graphs import graph
from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.earthengine.scenes import clean_scenes
from cropcam.pipeline.earthengine.scenes import scenes as scenes_of
from cropcam.pipeline.grid import PixelGrid, Window
from live.archive import part_of, stack_of
from live.points import LEAST_SHARE, Answer, Point, Verdict, differences, only_compared, pixels_agree, same
from live.side import Side

OUTSETS_PX = (-1e-6, -1e-7, 0.0, 1e-9, 1e-7, 1e-6, 1e-3)
_COARSE_PX = 16


def _scenes(side: Side) -> Answer:
    (season,) = side.study.image.seasons
    return {"names": side.value(scenes_of(side.study, season).aggregate_array("system:index"))}


def _layers(side: Side) -> Answer:
    """All layers, and the count of observations of the first band, which splits pixels into even and odd."""
    arrays = {}
    for layer in layers_of(side.study):
        pixels = side.pixels(graph(side.study, layer.name), side.study.grid)
        arrays |= {f"{layer.name} {name}": pixels[name] for name in layer.bands}
    (season,) = side.study.image.seasons
    band = side.study.image.bands[0]
    counts = side.pixels(clean_scenes(side.study, season).select([band]).count().unmask(0).toUint16(), side.study.grid)
    arrays["count"] = counts[counts.dtype.names[0]]
    side.shared["layers"] = arrays
    return {"arrays": arrays, "most observations": int(arrays["count"].max()), "share odd": float((arrays["count"] % 2).mean())}


def _judge_layers(service: Answer, embedded: Answer) -> Verdict:
    found = pixels_agree(service, embedded)
    count = service["arrays"]["count"]
    notes = dict(found.notes)
    for parity, rest in (("even", 0), ("odd", 1)):
        where = (count % 2 == rest) & (count > 0)
        equal = [(service["arrays"][name] == embedded["arrays"][name])[where] for name in service["arrays"] if name != "count"]
        notes[f"share equal, {parity} counts"] = float(np.mean(equal)) if where.any() else None
    shares = [notes[name]["share equal"] for name in found.notes]
    shifted = [notes[name]["not from a neighbour"] for name in found.notes if not name.startswith("image")]
    # a scene shifted by one pixel changes a median to a value that no pixel beside it need have
    return Verdict(found.equal, min(shares) >= LEAST_SHARE and not any(shifted), notes)


def _one_scene(side: Side) -> Answer:
    """One scene as it is, on the study's grid: which of its pixels holds the centre of each."""
    image, _ = _first_scene(side)
    band = side.study.image.bands[0]
    pixels = side.pixels(image.select([band, "QA_PIXEL"]).unmask(0).toUint16(), side.study.grid)
    return {"arrays": {name: pixels[name] for name in (band, "QA_PIXEL")}}


def _many(side: Side) -> Answer:
    """Medians of a hundred observations and more, beside the exact median of the same values."""
    _, stack = stack_of(side)
    valid = stack > 0
    count = valid.sum(axis=0)
    exact = np.ma.median(np.ma.MaskedArray(stack, ~valid).astype(np.float64), axis=0).filled(0)
    (season,) = side.many.image.seasons
    band = side.many.image.bands[0]
    made = {
        "as exported": graph(side.many, "image"),
        "default": clean_scenes(side.many, season).reduce(ee.Reducer.median()).unmask(0).toDouble(),
    }
    found: Answer = {
        "most observations": int(count.max()),
        "odd": int((count % 2).sum()),
        "even": int((count % 2 == 0).sum()),
        "arrays": {},
    }
    for name, image in made.items():
        pixels = side.pixels(image, side.many.grid)
        values = pixels[pixels.dtype.names[0]].astype(np.float64)
        wanted = np.floor(exact + 0.5) if name == "as exported" else exact
        found[name] = {
            parity: differences(values[count % 2 == rest][None], wanted[count % 2 == rest][None])
            for parity, rest in (("even", 0), ("odd", 1))
        }
        found["arrays"][f"{name} {band}"] = values
    return found


def _many_holds(answer: Answer) -> bool:
    return all(part["share equal"] == 1 for part in answer["as exported"].values() if part["pixels"])


def _coarse(side: Side) -> Answer:
    """A scene and the labels at twice their pixel: a mean of four, one of the four, or something else."""
    image, about = _first_scene(side)
    band = side.study.image.bands[0]
    found: Answer = {"arrays": {}}
    sources = [("scene", image, about, (band, "QA_PIXEL"))]
    if side.study.labels:
        labels = ee.Image(side.study.labels.asset)
        sources.append(("labels", labels, side.value(labels), ("cropland",)))
    for source, image, about, names in sources:
        part = part_of(about, names[0], side.study.grid)
        if part is None:
            continue
        fine = part.window(Window(part.height // 4 * 2, part.width // 4 * 2, 2 * _COARSE_PX, 2 * _COARSE_PX))
        a, b, c, d, e, f = fine.transform
        coarse = PixelGrid(fine.crs, (2 * a, b, c, d, 2 * e, f), _COARSE_PX, _COARSE_PX)
        native, at_60_m = (side.pixels(image.select(list(names)).unmask(0).toDouble(), grid) for grid in (fine, coarse))
        for name in names:
            four = native[name].reshape(_COARSE_PX, 2, _COARSE_PX, 2).transpose(0, 2, 1, 3).reshape(_COARSE_PX, _COARSE_PX, 4)
            value = at_60_m[name]
            mean = np.ma.masked_equal(four, 0).mean(axis=-1).filled(0)  # of those that have data
            found[f"{source} {name}"] = {
                "mean of the valid": float((np.abs(mean - value) <= 0.5).mean()),
                **{f"pixel {number} of four": float((four[..., number] == value).mean()) for number in range(4)},
            }
            found["arrays"][f"{source} {name}"] = value
    return found


def _edges(side: Side) -> Answer:
    """Pixels that a polygon's edge crosses: with the rule of the centre, a pixel is inside where its centre is."""
    grid = side.study.grid.window(Window(0, 0, 32, 32))
    a, _, c, _, e, f = grid.transform
    corners = [(2.3, 3.7), (29.4, 8.2), (11.8, 30.1)]
    triangle = ee.Geometry.Polygon([[[c + a * x, f + e * y] for x, y in corners]], grid.crs, False)
    mask = side.pixels(ee.Image.constant(1).clip(triangle).unmask(0).toUint8(), grid)
    inside = mask[mask.dtype.names[0]] > 0
    x, y = np.meshgrid(np.arange(32) + 0.5, np.arange(32) + 0.5)
    sides = [(x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True)]
    centre = np.all([one > 0 for one in sides], axis=0) | np.all([one < 0 for one in sides], axis=0)
    return {"pixels": int(inside.sum()), "by the centre": float((inside == centre).mean()), "arrays": {"inside": inside.astype(np.uint8)}}


def _outsets(side: Side) -> Answer:
    """Rows and columns of a grid that is given by a region a hair too large or too small, as exports by region have it."""
    grid = side.study.grid.window(Window(5, 7, 20, 30))
    a, _, c, _, e, f = grid.transform
    found = {}
    for outset in OUTSETS_PX:
        west, north, east, south = c - outset * a, f - outset * e, c + (30 + outset) * a, f + (20 + outset) * e
        region = ee.Geometry.Rectangle([min(west, east), min(south, north), max(west, east), max(south, north)], grid.crs, False)
        image = ee.Image.constant(1).toUint8().reproject(grid.crs, list(grid.transform)).clip(region)
        asked = side.answer(lambda image=image: list(side.whole(image).shape))  # type: ignore[misc]
        found[f"{outset:g} px"] = asked.get("answer", asked)
    return {"rows and columns": found, "named": [20, 30]}


def _project(side: Side) -> Answer:
    """What the project may do; names are left out of the report."""
    asked = side.answer(ee.data.getProjectConfig)
    return {"config": asked.get("answer", asked)}


def _first_scene(side: Side) -> tuple[ee.Image, Any]:
    if "scene" not in side.shared:
        (season,) = side.study.image.seasons
        name = min(side.value(scenes_of(side.study, season).aggregate_array("system:index")))
        image = ee.Image(f"{side.study.image.collections[0]}/{name}")
        side.shared["scene"] = image, side.value(image)
    found: tuple[ee.Image, Any] = side.shared["scene"]
    return found


PIXELS = (
    Point("scenes", "Which scenes are found by bounds and season?", _scenes, same("names", needed=lambda found: bool(found["names"]))),
    Point("one-scene", "Is a scene taken by nearest neighbour at the exactly projected centre?", _one_scene, pixels_agree),
    Point("layers", "Are composite, labels and counts the same for even and odd counts?", _layers, _judge_layers, seconds=60, eecu_s=120),
    Point("many", "Is the median of 150 observations and more exact?", _many, same("as exported", "default", needed=_many_holds), seconds=90, eecu_s=300),
    Point("coarse", "Is a pixel of 60 m the mean of four, or one of them?", _coarse, only_compared),
    Point("edges", "Is a pixel inside a polygon where its centre is?", _edges, same("pixels", needed=lambda found: found["by the centre"] == 1)),
    Point("outsets", "How many rows and columns has a grid given by a region a hair off?", _outsets, same("rows and columns")),
    Point("project", "What may the project do?", _project, lambda *_: Verdict(None, None, {})),
)  # fmt: skip
