"""The Python interface: from satellite rasters and weak labels to a crop map with honest numbers (docs/python.md).

Heavy modules are imported inside the functions that need them, so `import cropcam` is fast. The repository's root is this package.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropcam.model.options import Settings
from cropcam.pipeline import __version__
from cropcam.pipeline.errors import ConfigError

if TYPE_CHECKING:
    import xarray as xr

    from cropcam.model.crossval import CrossValidation
    from cropcam.model.evaluation.results import Metrics
    from cropcam.model.inference.summary import MapSummary
    from cropcam.model.runs.run import Run
    from cropcam.pipeline.patches.build import Summary
    from cropcam.pipeline.rasters.values import Numbers
    from cropcam.pipeline.study.study import Study

__all__ = [
    "Settings",
    "__version__",
    "build_store",
    "crossval",
    "evaluate",
    "load_run",
    "load_study",
    "map_raster",
    "open_patches",
    "open_rasters",
    "open_store",
    "train",
]
PathOrName = str | PathLike[str]
Files = Sequence[PathOrName] | PathOrName
Log = Callable[[str], None]


def load_study(study: PathOrName, changes: Mapping[str, Any] | None = None) -> Study:
    """A study: a preset's name or a TOML file (docs/study.md).

    Args:
        study: its name or path.
        changes: values by their dotted key, as `{"study.name": "belt-2017", "image.seasons": [["2017-01-01", "2018-01-01"]]}`.

    Raises:
        ConfigError: no such preset or file, or keys or values are not valid: all of them.
    """
    from cropcam.pipeline.study import study as studies

    return studies.load_study(str(study), changes or {})


def open_rasters(study: Study, image: Files | None = None, labels: Files | None = None, *, shards: PathOrName | None = None) -> xr.Dataset:
    """Rasters as one lazy dataset on the image's grid: `image` (band, y, x) as stored, with its scale, offset and nodata, and `label` (y, x) label codes.

    Args:
        study: band names; for shards also the grid.
        image: several single-band files or one multi-band file.
        labels: label rasters of any grid, resampled to the nearest pixel.
        shards: folder of an export, instead of `image` and `labels`.

    Raises:
        ConfigError: neither `image` nor `shards`, or both.
        DataError: a file cannot be read, or the files are not of one grid.
    """
    from cropcam.pipeline.rasters import export_shards, label_mosaic, own_image
    from cropcam.pipeline.rasters.xarray_dataset import lazy_dataset

    if (image is None) == (shards is None):
        raise ConfigError("open_rasters needs image files or the folder of an export's shards; pass one of image and shards")
    if shards is not None:
        return lazy_dataset(*export_shards.open_shards(Path(shards), study))
    about = study.labels_for("labels") if labels is not None else None
    source = own_image.open_own_image(_paths(image), study.image)
    return lazy_dataset(source, label_mosaic.open_labels(_paths(labels), source.grid, study.table, about.band) if about else None)


def build_store(
    study: Study,
    store: PathOrName,
    *,
    image: Files | None = None,
    labels: Files | None = None,
    shards: PathOrName | None = None,
    scale: Numbers = None,
    offset: Numbers = None,
    nodata: Numbers = None,
    seed: int = 0,
    scheduler: str | None = None,
    log: Log | None = None,
) -> Summary:
    """Build a patch store from rasters. An interrupted call goes on where it stopped; a finished store of the same inputs is not changed.

    Args:
        study: legend, bands, patch size and splits.
        store: the store's folder.
        image: own rasters: several single-band files or one multi-band file.
        labels: label rasters of any grid; with `image` only. None = a store of images alone.
        shards: folder of an export, instead of `image` and `labels`.
        scale: of the image: physical value = stored value x scale + offset; overrides its tags. One number, or one for each band.
        offset: as `scale`.
        nodata: of the image; overrides its tags.
        seed: of the splits.
        scheduler: address of a dask scheduler; threads without one.
        log: called with single lines: warnings.

    Raises:
        ConfigError: neither image nor shards, or both.
        DataError: the rasters are not valid, or `store` is another store.
    """
    from cropcam.pipeline.patches import build
    from cropcam.pipeline.rasters.values import ValueEncoding
    from cropcam.pipeline.runtime.progress import silent

    if (shards is None) == (image is None) or (shards is not None and labels is not None):
        raise ConfigError("build_store needs image, perhaps with labels, or the folder of an export's shards; pass one of the two")
    if shards is not None:
        return build.from_shards(study, Path(shards), Path(store), seed=seed, scheduler=scheduler, log=log or silent)
    encoding = ValueEncoding(scale, offset, nodata)
    return build.from_rasters(
        study, _paths(image), _paths(labels), Path(store), encoding=encoding, seed=seed, scheduler=scheduler, log=log or silent
    )


def open_store(store: PathOrName) -> xr.Dataset:
    """A patch store as a map: `image` (band, y, x) float32 in the physical unit, NaN = nodata, lazy; `label`, tables, `.rio.crs` (docs/store.md).

    Raises:
        DataError: absent, unfinished, damaged, or of another schema.
    """
    from cropcam.pipeline.store import datasets, patch_store

    return datasets.cube(patch_store.open_store(store))


def open_patches(store: PathOrName, split: str | None = None) -> xr.Dataset:
    """The kept patches of a store: `image` (patch, band, y, x) as of `open_store`, `label`, `share`, `row`, `col`, `lon`, `lat`, lazy.

    Args:
        store: the store's folder.
        split: train, validation or test; all without one.

    Raises:
        ConfigError: no such split.
        DataError: the store as of `open_store`, or no patch lies in the split.
    """
    from cropcam.pipeline.store import datasets, patch_store
    from cropcam.pipeline.store.schema import SPLITS

    if split is not None and split not in SPLITS:
        raise ConfigError(f"split {split!r}: choose one of {', '.join(SPLITS)}, or none for all patches")
    return datasets.patches(patch_store.open_store(store), split)


def train(
    store: Files,
    run: PathOrName,
    settings: Settings | None = None,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
    log: Log | None = None,
) -> Run:
    """Train a network on the weak labels of a store, or of several; everything is written to the run folder.

    Args:
        store: a finished patch store, or several of the same bands, patch size and classes.
        run: the run folder; created where absent.
        settings: of the run; a setting that is not passed takes its measured default.
        device: auto, cpu or cuda.
        resume: go on with the run in the folder; start a new run where there is none.
        progress: called with (batches done, batches in all, note).
        log: called with single lines.

    Raises:
        ConfigError: a setting is not valid, or the folder holds a run and `resume` is false.
        DataError: the store or a checkpoint is damaged.
    """
    from cropcam.model.training.train import train as run_training
    from cropcam.pipeline.runtime.progress import silent

    run_training(_paths(store), Path(run), settings, device=device, resume=resume, progress=progress or silent, log=log or silent)
    return load_run(run)


def load_run(run: PathOrName) -> Run:
    """A trained run: its settings, history and metrics.

    Raises:
        DataError: no run folder, or a damaged one.
    """
    from cropcam.model.runs.run import Run

    return Run(Path(run))


def evaluate(
    run: Run | PathOrName,
    *,
    split: str | None = None,
    on: PathOrName | None = None,
    reference: Run | PathOrName | None = None,
    store: PathOrName | None = None,
    save: PathOrName | None = None,
    device: str = "auto",
) -> Metrics:
    """Evaluate a run on one split of its store, or on another store; writes metrics.json (docs/numbers.md).

    Args:
        run: a run or its folder.
        split: train, validation, test or all; by default test, on a store that the run has not seen all.
        on: another store of the run's bands, patch size and classes; its metrics are written to RUN/on.
        reference: another run, scored on the same patches.
        store: the run's own store, if it was moved.
        save: also write activation maps and segmentations there (zarr).
        device: auto, cpu or cuda.

    Raises:
        ConfigError: no such split or device.
        DataError: run or store are damaged, the split is empty, or the store does not fit the run.
    """
    from cropcam.model.evaluation import evaluate as evaluation

    on_path, store_path, save_path = (None if path is None else Path(path) for path in (on, store, save))
    other = None if reference is None else _folder(reference)
    return evaluation.evaluate(_folder(run), split=split, on=on_path, reference=other, store=store_path, save=save_path, device=device)


def crossval(
    stores: Sequence[PathOrName],
    out: PathOrName,
    settings: Settings | None = None,
    *,
    leave_out: str = "store",
    device: str = "auto",
    log: Log | None = None,
) -> CrossValidation:
    """Leave each store, place or year out in turn: a run is trained on the others and scored there and at home (docs/transfer.md).

    Args:
        stores: finished patch stores with labels, of the same bands, patch size and classes.
        out: folder of the runs, crossval.csv and crossval.json. A second call goes on where the first one stopped.
        settings: of every run.
        leave_out: store, place (stores whose bounds overlap by more than half) or year (in which the seasons begin).
        device: auto, cpu or cuda.
        log: called with single lines.

    Raises:
        ConfigError: fewer than two groups, a store named twice, or `out` holds a cross-validation of other stores or settings.
        DataError: the stores do not fit each other, or one has no labels.
    """
    from cropcam.model import crossval as cross_validation
    from cropcam.pipeline.runtime.progress import silent

    return cross_validation.crossval(_paths(stores), Path(out), settings, leave_out=leave_out, device=device, log=log or silent)


def map_raster(
    run: Run | PathOrName,
    out: PathOrName,
    *,
    image: Files | None = None,
    shards: PathOrName | None = None,
    store: PathOrName | None = None,
    probabilities: PathOrName | None = None,
    uncertainty: PathOrName | None = None,
    polygons: PathOrName | None = None,
    simplify_m: float = 0.0,
    shift: PathOrName | None = None,
    region: PathOrName | None = None,
    method: str | None = None,
    class_prior: Sequence[float] | None = None,
    areas: PathOrName | None = None,
    sieve_ha: float = 0.0,
    smoothness: float = 0.0,
    scheduler: str | None = None,
    device: str = "auto",
    log: Log | None = None,
) -> MapSummary:
    """Map a whole raster with a run: a Cloud Optimized GeoTIFF of class indices.

    Args:
        run: a run or its folder.
        out: the map file; complete or absent.
        image: several single-band files or one multi-band file.
        shards: folder of an export, instead of `image`.
        store: a patch store, instead of `image`.
        probabilities: also write the calibrated probability of each class: uint8, round(250 p), 255 = nodata.
        uncertainty: also write the entropy of the probabilities: uint8, 0 = certain, 250 = all classes alike, 255 = nodata.
        polygons: also write outlines, .parquet or .gpkg (docs/maps.md).
        simplify_m: drops corners of the outlines smaller than so many metres; 0 keeps all.
        shift: also write how unlike the training data each pixel is; above 1 = unlike (docs/transfer.md).
        region: vector file of polygons; pixels outside are nodata.
        method: segmentation method of the run, its default one without.
        class_prior: known class areas of the mapped region, one number per class; probabilities are shifted to them.
        areas: vector file with class areas per polygon, instead of `class_prior`.
        sieve_ha: patches of a class below so many hectares take the class of their largest neighbour, on the class map alone.
        smoothness: of Bayesian smoothing, for example 10; 0 = none.
        scheduler: address of a dask.distributed scheduler.
        device: auto, cpu or cuda.
        log: called with single lines.

    Raises:
        ConfigError: none or several of image, shards and store; no such device.
        DataError: the run or the rasters are not valid.
    """
    from cropcam.model.inference import known_areas, wall_to_wall
    from cropcam.pipeline.rasters import export_shards, own_image
    from cropcam.pipeline.runtime.progress import silent
    from cropcam.pipeline.store import patch_store
    from cropcam.pipeline.study.study import parse_study

    if sum(given is not None for given in (image, shards, store)) != 1:
        raise ConfigError(
            "map_raster needs image files, the folder of an export's shards, or a patch store; pass one of image, shards and store"
        )
    folder = _folder(run)
    config = load_run(folder).config
    if store is not None:
        source: Any = patch_store.open_store(store)
    else:
        study = parse_study(config.store.attrs["study"], f"{folder}/config.json")
        of_shards, of_files = export_shards.open_image_shards, own_image.open_own_image
        source = of_files(_paths(image), study.image) if shards is None else of_shards(Path(shards), study)
    beside = {"probabilities": probabilities, "uncertainty": uncertainty, "shift": shift, "polygons": polygons}
    outputs = wall_to_wall.Outputs(**{name: Path(path) for name, path in beside.items() if path is not None}, simplify_m=simplify_m)
    legend, known = config.store.classes, None
    if class_prior is not None and areas is not None:
        raise ConfigError("map_raster takes class_prior or areas, not both; leave one out")
    if class_prior is not None:
        known = known_areas.KnownAreas.of_prior(class_prior, legend)
    elif areas is not None:
        known = known_areas.KnownAreas.of_file(Path(areas), legend, source.grid)
    return wall_to_wall.map_raster(
        folder,
        source,
        Path(out),
        outputs=outputs,
        region=None if region is None else Path(region),
        method=method,
        known=known,
        sieve_ha=sieve_ha,
        smoothness=smoothness,
        scheduler=scheduler,
        device=device,
        log=log or silent,
    )


def _paths(files: Files | None) -> list[Path]:
    if files is None:
        return []
    return [Path(files)] if isinstance(files, str | PathLike) else [Path(file) for file in files]


def _folder(run: Run | PathOrName) -> Path:
    return Path(run) if isinstance(run, str | PathLike) else run.folder
