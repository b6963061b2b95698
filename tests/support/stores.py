"""Synthetic patch stores, written array by array: known fields, known spectra, known truth.

`from support.stores import make_store`: pyproject.toml puts `tests/` on pytest's path.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropcam.pipeline import __version__
from cropcam.pipeline.encoding import OFFSET, SCALE, BandEncoding
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store import schema
from cropcam.pipeline.store.create import create_arrays, root_json
from cropcam.pipeline.store.schema import IMAGE, KEPT, NOT_USED, REASONS, ROOT, StoreInfo
from cropcam.pipeline.study.study import Study, load_study, parse_study

# Reflectance of SR_B1 .. SR_B7 per class of the demo study, of the order of a late-summer scene; far apart on purpose.
SPECTRA = np.array(
    [
        [0.06, 0.07, 0.10, 0.11, 0.20, 0.21, 0.16],  # background
        [0.02, 0.03, 0.06, 0.04, 0.40, 0.16, 0.07],  # corn
        [0.02, 0.03, 0.07, 0.04, 0.54, 0.23, 0.10],  # soybean
        [0.02, 0.02, 0.04, 0.03, 0.29, 0.12, 0.05],  # forest
        [0.04, 0.05, 0.09, 0.07, 0.32, 0.27, 0.14],  # grassland
    ]
)
NOISE = 0.01  # standard deviation of each pixel and band
FRACTIONS = (0.6, 0.2)  # train, validation; the rest is test
BACKGROUND_CODES = (111, 121, 82)


def make_study(
    size_px: int = 50, presence_min_share: float = 0.05, classes: dict[str, tuple[int, ...]] | None = None, preset: str = "demo"
) -> Study:
    """The demo study, or another preset, with another patch size, presence share or classes."""
    values: dict[str, Any] = load_study(preset).to_dict()
    values["patches"] = {**values["patches"], "size_px": size_px}
    values["labels"] = {**values["labels"], "presence_min_share": presence_min_share}
    return parse_study({**values, "classes": classes or values["classes"]})


def make_store(
    path: Path,
    count: int = 60,
    size_px: int = 50,
    seed: int = 0,
    *,
    study: Study | None = None,
    signal: bool = True,
    nodata_share: float = 0.0,
    season_gaps: bool = False,
    labels: bool = True,
) -> StoreInfo:
    """Write a finished store of `count` synthetic patches in row-major order; its grid has the study's columns and as many rows as they need.

    Each patch is a lattice of 2 to 4 by 2 to 4 fields of one class each; each class may stand in a patch with
    probability one half, so that every class is absent from many. A pixel's spectrum depends on its class alone.

    Args:
        path: where the store goes.
        count: patches; 0.6 of them train, 0.2 validation, 0.2 test.
        size_px: side of a patch.
        seed: of everything.
        study: legend, bands and name; the demo study by default.
        signal: False gives every class the same spectrum, so that nothing can be learned.
        nodata_share: in every fourth patch this share of the columns is nodata in the image and, half of it, unlabelled.
        season_gaps: in every fourth patch, from the second on, the first season is nodata, in the next one the left half of the last season.
        labels: False leaves labels and shares out.
    """
    study = study or make_study(size_px)
    rng = np.random.default_rng(seed)
    classes_NYX = np.stack([_fields(rng, size_px, len(study.legend)) for _ in range(count)])
    label = _codes(rng, classes_NYX, study.legend)
    image = _image(rng, classes_NYX, len(study.image.layers), signal)
    wide = round(nodata_share * size_px)
    image[::4, :, :, :wide] = 0
    label[::4, :, : wide // 2] = 0
    if season_gaps:
        of_season = image.shape[1] // len(study.image.seasons)
        image[1::4, :of_season] = 0
        image[2::4, -of_season:, :, : size_px // 2] = 0
    split = rng.permutation(np.searchsorted(np.cumsum(FRACTIONS), (np.arange(count) + 0.5) / count)).astype(np.uint8)
    valid = (image > 0).all(axis=1)
    valid = valid & (study.legend.index(label) != UNLABELLED) if labels else valid
    arrays = {"image": image, "valid": valid.mean(axis=(1, 2)).astype(np.float32), "split": split, "reason": np.full(count, KEPT, np.uint8)}
    if labels:
        arrays |= {"label": label, "share": shares(label, study.legend)}
    info = _info(study, arrays, seed)
    write_store(path, info, arrays)
    return info


def write_store(path: Path, info: StoreInfo, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write the first patches of a grid, row by row, and what `arrays` (patch first) has of them; the rest of the grid is nodata and not used."""
    grid, size = info.patch_grid, info.patch_size_px
    rest = {"valid": 0.0, "share": np.nan, "split": NOT_USED, "reason": IMAGE}
    create_arrays(path, info)
    for name, values in arrays.items():
        array = schema.opened(path, name, strict=False)
        blank = np.full((grid.count - len(values), *values.shape[1:]), rest.get(name, 0), values.dtype)
        all_N = np.concatenate([values, blank]).reshape(grid.rows, grid.columns, *values.shape[1:])
        if name in ("image", "label"):  # (rows, columns, .., y, x) to (.., rows x y, columns x x)
            bands = all_N.shape[2:-2]
            cube = np.zeros((*bands, *info.pixel_grid.shape_yx), values.dtype)
            order = (2, 0, 3, 1, 4) if bands else (0, 2, 1, 3)
            cube[..., : grid.rows * size, : grid.columns * size] = all_N.transpose(order).reshape(
                *bands, grid.rows * size, grid.columns * size
            )
            all_N = cube
        array.write(all_N).result()
    (path / ROOT).write_text(root_json(path, info))


def shares(label_NYX: npt.NDArray[np.uint8], legend: Legend) -> npt.NDArray[np.float32]:
    """Share of the labelled pixels of each class (N, K)."""
    index = legend.index(label_NYX).reshape(len(label_NYX), -1)
    counts = np.stack([(index == k).sum(axis=1) for k in range(len(legend))], axis=1)
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), np.float32)


def _fields(rng: np.random.Generator, size_px: int, classes: int) -> npt.NDArray[np.uint8]:
    present = np.flatnonzero(rng.random(classes) < 0.5)
    present = present if present.size else rng.integers(classes, size=1)
    across, down = rng.integers(2, 5, size=2)
    fields = rng.choice(present, size=(down, across))
    row, col = (np.arange(size_px) * n // size_px for n in (down, across))
    return fields[np.ix_(row, col)].astype(np.uint8)


def _codes(rng: np.random.Generator, classes_NYX: npt.NDArray[np.uint8], legend: Legend) -> npt.NDArray[np.uint8]:
    codes = [BACKGROUND_CODES, *(land_class.codes for land_class in legend.classes[1:])]
    label = np.empty_like(classes_NYX)
    for index, members in enumerate(codes):
        here = classes_NYX == index
        label[here] = rng.choice(np.array(members, np.uint8), size=int(here.sum()))
    return label


def _image(rng: np.random.Generator, classes_NYX: npt.NDArray[np.uint8], bands: int, signal: bool) -> npt.NDArray[np.uint16]:
    spectra = np.resize(SPECTRA, (max(int(classes_NYX.max()) + 1, len(SPECTRA)), bands))
    if not signal:
        spectra = np.broadcast_to(spectra.mean(axis=0), spectra.shape)
    reflectance = np.moveaxis(spectra[classes_NYX], -1, 1)
    reflectance = reflectance + rng.normal(0, NOISE, reflectance.shape)
    return np.clip(np.floor((reflectance - OFFSET) / SCALE + 0.5), 1, 65535).astype(np.uint16)


def store_info(study: Study, grid: PixelGrid, encoding: BandEncoding, *, size_px: int = 0, has_labels: bool = True) -> StoreInfo:
    """The metadata of a store of a study on a grid, without statistics; patches of the study's size, or of `size_px`."""
    return StoreInfo(
        study=study.to_dict(),
        bands=study.image.layers,
        encoding=encoding,
        has_labels=has_labels,
        classes=study.legend,
        crs=grid.crs,
        transform=grid.transform,
        width=grid.width,
        height=grid.height,
        patch_size_px=size_px or study.patches.size_px,
        split_seed=0,
        code_version=__version__,
    )


def _info(study: Study, arrays: dict[str, npt.NDArray[Any]], seed: int) -> StoreInfo:
    bands, count = len(study.image.layers), len(arrays["image"])
    encoding = BandEncoding.uniform("uint16", bands, SCALE, OFFSET, 0.0)
    pixels = np.moveaxis(encoding.physical(arrays["image"][arrays["split"] == 0]), 1, -1).reshape(-1, bands).astype(np.float64)
    pixels = pixels[np.isfinite(pixels).all(axis=1)]
    columns = study.patch_grid.columns
    rows = -(-count // columns)
    return replace(
        store_info(study, replace(study.grid, height=rows * study.patches.size_px), encoding, has_labels="label" in arrays),
        split_seed=seed,
        dropped={name: rows * columns - count if index == IMAGE else 0 for index, name in enumerate(REASONS) if index != KEPT},
        statistics={"split": "train", "pixels": len(pixels), "mean": pixels.mean(axis=0).tolist(), "std": pixels.std(axis=0).tolist()},
        digests={name: hashlib.sha256(arrays[name].tobytes()).hexdigest() for name in ("image", "label") if name in arrays},
    )
