"""The scene of a map, of a store, or of both: which layers there are, from which files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import rasterio

from cropcam.pipeline.crs import crs_text, same_crs
from cropcam.pipeline.errors import DataError
from cropcam.pipeline.grid import covering_window
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.view import palettes
from cropcam.pipeline.maps.view.layers import (
    CLASSES,
    IMAGE,
    MAP,
    REFERENCE,
    TRUTH,
    Layer,
    Scene,
    classes_key,
    ramp_key,
    swatches_key,
)
from cropcam.pipeline.maps.view.quick_looks import COLOURS, Look, QuickLooks, make_quick_looks
from cropcam.pipeline.raster_errors import UNREADABLE
from cropcam.pipeline.runtime.progress import Progress, silent
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import SPLITS

PROBABILITY, ACTIVATION, UNCERTAINTY = "probability", "activation", "uncertainty"
TAGS = {PROBABILITY: "probabilities", UNCERTAINTY: "uncertainty"}  # of a class map: the files made with it, in its folder
FACTS = {  # tags of a class map that the page names, and their names there
    "study": "study",
    "labels": "labels",
    "method": "method",
    "inputs": "inputs",
    "region": "region",
    "sieve_ha": "sieve, ha",
    "smoothness": "smoothness",
    "known_areas": "known areas",
}
_ZOOMED_OUT = "Zoomed out, the most frequent class of each are compared."


def of_store(store: PatchStore, cache: Path, *, progress: Progress = silent) -> Scene:
    """True and false colour of each season, truth and splits.

    Args:
        store: one store.
        cache: folder of quick looks.
        progress: called while quick looks are made.

    Raises:
        DataError: the store is damaged, or the disk refuses.
    """
    info = store.info
    looks = make_quick_looks(store, info.classes, cache, progress=progress)
    layers = (*_images(looks), *_reference(looks, info.classes))
    counts = ", ".join(f"{int((store.split_N == number).sum()):,} {name}" for number, name in enumerate(SPLITS))
    facts = {"study": info.name, "store": store.path.name, "patches": f"{len(store):,} of {info.patch_grid.count:,} ({counts})"}
    truth = open_map(looks.truth) if looks.truth else None
    return Scene(store.path.name, "store", store.grid, layers, facts, truth=truth, store=store, opened_with=(layers[0].id, ""))


def of_map(path: Path, *, activations: Path | None = None) -> Scene:
    """Classes, and the probabilities and the uncertainty that the map's tags name.

    Args:
        path: a class map that `cropcam map` wrote; files named by its tags are looked for in its own folder alone.
        activations: of a run's own map.

    Raises:
        DataError: no class map, or one of its files is of another grid or of other classes.
    """
    opened = open_map(path)
    shares = {kind: found for kind, tag in TAGS.items() if (found := _beside(path, opened.tags.get(tag, "")))}
    shares |= {ACTIVATION: activations} if activations else {}
    layers = [_classes(opened)]
    for kind in (PROBABILITY, ACTIVATION, UNCERTAINTY):
        if kind in shares:
            layers += _shares(opened, kind, shares[kind])
    known = {name: opened.tags[tag] for tag, name in FACTS.items() if opened.tags.get(tag)}
    facts = {"map": path.name, **known}
    return Scene(path.name, "map", opened.grid, tuple(layers), facts, classes=opened, shares=shares, opened_with=(CLASSES, ""))


def with_store(scene: Scene, store: PatchStore, cache: Path, *, progress: Progress = silent) -> Scene:
    """The scene of a map with the layers of a store: images beneath, truth in the map's classes, and where map and truth differ.

    Raises:
        DataError: the store lies elsewhere, it has other classes than the map, it is damaged, or the disk refuses.
    """
    assert scene.classes is not None  # noqa: S101 - of a map
    _check_place(scene.classes, store)
    legend = scene.classes.legend
    looks = make_quick_looks(store, legend, cache, progress=progress)
    images = _images(looks)
    layers = (*images, *_reference(looks, legend), *scene.layers)
    if looks.truth:
        layers = (*layers, _errors(scene.classes.path, looks.truth))
    truth = open_map(looks.truth) if looks.truth else None
    facts = {**scene.facts, "store": store.path.name}
    return replace(scene, layers=layers, truth=truth, store=store, facts=facts, opened_with=(CLASSES, images[0].id))


def _images(looks: QuickLooks) -> list[Layer]:
    layers = []
    for number, look in enumerate(looks.seasons, 1):
        season = look.season.replace("/", " to ") if len(looks.seasons) > 1 else ""
        if not look.is_colour:
            layers.append(_image(f"image-{number}", "Image", season, look, tuple(range(1, len(look.names) + 1))))
            continue
        layers.append(_image(f"true-colour-{number}", "True colour", season, look, (1, 2, 3)))
        if len(look.names) == len(COLOURS):
            layers.append(_image(f"false-colour-{number}", "False colour", season, look, (4, 1, 2)))
    return sorted(layers, key=lambda layer: layer.family != layers[0].family)


def _image(layer_id: str, family: str, season: str, look: Look, bands: tuple[int, ...]) -> Layer:
    items = [
        {"channel": channel, "band": look.names[band - 1], "low": look.low[band - 1], "high": look.high[band - 1]}
        for channel, band in zip(("red", "green", "blue") if len(bands) == 3 else ("grey",), bands, strict=False)
    ]
    note = f"Season {look.season.replace('/', ' to ')}. Stretched from the 2nd to the 98th percentile of the training pixels{f', gamma {look.gamma}' if look.gamma != 1 else ''}."
    shown = bands if len(bands) == 3 else bands[:1]
    return Layer(layer_id, IMAGE, family, season, look.path, shown, key={"kind": "bands", "items": items}, note=note)


def _reference(looks: QuickLooks, legend: Legend) -> Iterator[Layer]:
    if looks.truth:
        palette, key = palettes.of_legend(legend), classes_key(legend, TRUTH)
        yield Layer(TRUTH, REFERENCE, "Truth", "", looks.truth, (1,), palette, key=key, note="The labels of the store.")
    colors = palettes.SPLIT_COLORS
    key = swatches_key(SPLITS, colors)
    note = "Patches by split; others are not used."
    yield Layer("splits", REFERENCE, "Splits", "", looks.splits, (1,), palettes.of_colors(colors), key=key, note=note)


def _classes(opened: FinishedMap) -> Layer:
    sieve_ha = opened.tags.get("sieve_ha", "")
    note = f"Patches below {sieve_ha} ha have the class of their largest neighbour, not their most probable one." if sieve_ha else ""
    key = classes_key(opened.legend, CLASSES)
    return Layer(CLASSES, MAP, "Classes", "", opened.path, (1,), palettes.of_legend(opened.legend), key=key, note=note)


def _shares(opened: FinishedMap, kind: str, path: Path) -> list[Layer]:
    names = ("",) if kind == UNCERTAINTY else opened.legend.names
    _check_file(opened, path, len(names))
    palette = palettes.of_ramp(kind)
    low, high = {PROBABILITY: ("0 %", "100 %"), ACTIVATION: ("0", "1"), UNCERTAINTY: ("certain", "uncertain")}[kind]
    note = {
        PROBABILITY: f"Calibrated probability of the class{', shifted to the known areas' if opened.tags.get('known_areas') else ''}.",
        ACTIVATION: "Class activation map through the sigmoid.",
        UNCERTAINTY: "Entropy of the probabilities; 1 where all classes are equally likely.",
    }[kind]
    return [
        Layer(
            f"{kind}-{number}" if name else kind,
            MAP,
            kind.capitalize(),
            name,
            path,
            (number + 1,),
            palette,
            key=ramp_key(kind, low, high),
            note=note,
        )
        for number, name in enumerate(names)
    ]


def _errors(classes: Path, truth: Path) -> Layer:
    key = swatches_key(("map and truth agree", "they differ"), palettes.ERROR_COLORS)
    palette = palettes.of_colors(palettes.ERROR_COLORS)
    return Layer("errors", MAP, "Errors", "", classes, (1,), palette, minus=truth, key=key, note=_ZOOMED_OUT)


def _beside(path: Path, name: str) -> Path | None:
    """The file of that name in the map's folder; None without one, or for a name that would lead elsewhere."""
    if not name or Path(name).name != name:
        return None
    beside = path.parent / name
    return beside if beside.is_file() else None


def _check_file(opened: FinishedMap, path: Path, bands: int) -> None:
    """Whether a file of shares belongs to the map.

    Raises:
        DataError: it cannot be read, or has another grid or other bands.
    """
    again = "make the map again with the same options"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a raster without a place is refused below
            with rasterio.open(path) as file:
                shape, transform, crs = (file.height, file.width), tuple(file.transform)[:6], file.crs
                kind = (file.count, set(file.dtypes))
    except UNREADABLE:
        raise DataError(f"{path}: cannot be read as a raster; {again}") from None
    grid = opened.grid
    near = all(abs(a - b) <= 1e-9 * max(abs(b), 1e-3) for a, b in zip(transform, grid.transform, strict=True))
    if shape != grid.shape_yx or not near or crs is None or not same_crs(crs_text(crs), grid.crs):
        raise DataError(f"{path}: lies on another grid than {opened.path.name}, which names it; {again}")
    if kind != (bands, {"uint8"}):
        types = ", ".join(sorted(kind[1]))
        raise DataError(f"{path}: has {kind[0]} bands of {types}, expected are {bands} of uint8; {again}")


def _check_place(opened: FinishedMap, store: PatchStore) -> None:
    if covering_window(store.grid, opened.grid, 0) is None:
        raise DataError(f"{store.path}: lies elsewhere than {opened.path}; give the store of the mapped area with --store")
