"""Descriptions of a study and of a store, as JSON values and as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from cropcam.pipeline.earthengine.feasible import check_feasible, notes
from cropcam.pipeline.grid import PatchGrid
from cropcam.pipeline.legend import Legend
from cropcam.pipeline.study.study import Study, load_study

_NAMES = 24  # bands that are listed one by one


def of_study(name_or_path: str, changes: Sequence[str] = (), today: date | None = None) -> dict[str, Any]:
    """Grid, patches, bands, classes and uncompressed bytes of a study, with changes as of `load_study`.

    Raises:
        ConfigError: not a study; or, with `today`, one that Earth Engine can never deliver.
    """
    study = load_study(name_or_path, changes)
    if today is not None:
        check_feasible(study, today, name_or_path)
    layers, grid = study.image.layers, study.patch_grid
    pixels, per_patch = grid.pixels.width * grid.pixels.height, grid.size_px**2
    label, encoding = study.table.dtype.itemsize if study.labels else 0, study.image.encoding
    weighted = bool(study.labels and study.labels.weight)  # in an export a band of the labels' type, in a store uint8
    of_pixel = np.dtype(encoding.dtype).itemsize * len(layers)
    return {
        "study": study.name,
        **_shape(grid, layers, study.legend),
        "sensor": {"title": study.image.table.title, "collections": list(study.image.collections), "mask": list(study.image.mask)},
        "resampling": _resampling(study),
        "values": encoding.attrs(),
        "bytes": {
            "image": of_pixel * pixels,
            "labels": label * (1 + weighted) * pixels,
            "store": grid.count * per_patch * (of_pixel + label + weighted),
        },
        "notes": notes(study),
        "digest": study.digest,
    }


def of_store(path: Path) -> dict[str, Any]:
    """Grid, patches, bands and classes of a store, with counts per split, class shares, drops and statistics.

    Raises:
        DataError: no store, or a damaged one.
    """
    from cropcam.pipeline.store.patch_store import open_store  # noqa: PLC0415
    from cropcam.pipeline.store.percentiles import percentiles  # noqa: PLC0415 - a study needs neither zarr nor tensorstore, and is described without them
    from cropcam.pipeline.store.schema import SPLITS  # noqa: PLC0415

    store = open_store(path)
    info, split = store.info, store.split_N
    shape = _shape(info.patch_grid, info.bands, info.classes)
    shape["patches"] |= {
        "kept": len(split),
        "dropped": info.dropped,
        "splits": {name: int((split == i).sum()) for i, name in enumerate(SPLITS)},
    }
    names = info.classes.names
    more: dict[str, Any] = {}
    if info.has_labels:
        share = store.share_NK
        more["class_share"] = dict(zip(names, np.round(np.nanmean(share, axis=0, dtype=np.float64), 6).tolist(), strict=True))
        more["present_in"] = dict(zip(names, np.round((share > 0).mean(axis=0), 6).tolist(), strict=True))
    if "histogram" in info.statistics:
        more["percentiles"] = percentiles(info.statistics, info.encoding)
    return {
        "study": info.name,
        **shape,
        "values": info.encoding.attrs(),
        "statistics": info.statistics,
        **more,
        "digest": info.digest,
        "digests": info.digests,
    }


def as_text(facts: dict[str, Any]) -> str:
    """The same for reading."""
    grid, patches = facts["grid"], facts["patches"]
    size, step = patches["size_px"], abs(grid["transform"][0])
    lines = [
        f"study    {facts['study']}",
        f"grid     {grid['width']:,} x {grid['height']:,} px of {step:.9g} ({_short(grid['crs'])}), {grid['width'] * grid['height'] / 1e6:,.1f} M pixels",
        f"patches  {patches['columns']:,} x {patches['rows']:,} = {patches['count']:,} of {size} x {size} px",
        f"bands    {_listed(facts['bands'])}",
        f"classes  {', '.join(facts['classes'])}",
    ]
    if "bytes" in facts:
        sensor = facts["sensor"]
        lines.append(f"sensor   {sensor['title']}; masked: {', '.join(sensor['mask']) or 'nothing'}")
        lines += [f"         {how}: {_listed(bands)}" for how, bands in facts["resampling"].items()]
        lines.append(
            "bytes    " + ", ".join(f"{what} {count / 1e9:,.2f} GB" for what, count in facts["bytes"].items()) + " before compression"
        )
        lines += [f"note     {note}" for note in facts["notes"]]
        return "\n".join(lines)
    from cropcam.pipeline.store.schema import format_dropped  # noqa: PLC0415 - as in `of_store`

    frequencies = {
        split: {name: count / max(sum(counts.values()), 1) for name, count in counts.items()}
        for split, counts in facts["statistics"].get("class_pixels", {}).items()
    }
    lines += [
        f"kept     {patches['kept']:,}: " + ", ".join(f"{count:,} {name}" for name, count in patches["splits"].items()),
        f"dropped  {format_dropped(patches['dropped'])}",
        *([f"valid    {valid:.2%} of the pixels of a kept patch, on average"] if (valid := facts["statistics"].get("valid_share")) else []),
        "",
        *(_classes(facts, frequencies) if "class_share" in facts else ["no labels"]),
        "",
        f"{'values':<14}{'mean':>8}{'std':>9}"
        + (f"{'2 %':>9}{'50 %':>9}{'98 %':>9}" if "percentiles" in facts else "")
        + "   (training split)",
    ]
    statistics = facts["statistics"]
    ranges = facts.get("percentiles") or [[]] * len(facts["bands"])
    for band, mean, std, range_ in zip(facts["bands"], statistics["mean"], statistics["std"], ranges, strict=True):
        lines.append(f"{band:<14}{mean:>8.4f}{std:>9.4f}" + "".join(f"{value:>9.3f}" for value in range_))
    return "\n".join(lines)


def _classes(facts: dict[str, Any], frequencies: dict[str, dict[str, float]]) -> list[str]:
    return [
        f"{'class':<14}{'pixels':>8}{'patches':>9}" + "".join(f"{split:>12}" for split in frequencies),
        *(
            f"{name:<14}{share:>8.1%}{facts['present_in'][name]:>9.1%}" + "".join(f"{of[name]:>12.1%}" for of in frequencies.values())
            for name, share in facts["class_share"].items()
        ),
    ]


def _shape(grid: PatchGrid, bands: tuple[str, ...], legend: Legend) -> dict[str, Any]:
    pixels = grid.pixels
    return {
        "grid": {"crs": pixels.crs, "transform": list(pixels.transform), "width": pixels.width, "height": pixels.height},
        "patches": {"size_px": grid.size_px, "columns": grid.columns, "rows": grid.rows, "count": grid.count},
        "bands": list(bands),
        "classes": list(legend.names),
    }


def _resampling(study: Study) -> dict[str, list[str]]:
    """How bands of another resolution than the study's come onto its grid, in words, and which they are; of the sensors that have a rule."""
    found: dict[str, list[str]] = {}
    scale_m = study.area.scale_m
    for name in study.image.bands:
        resolution_m = study.image.table.resolution(name)
        if resolution_m is not None and resolution_m != scale_m:
            how = "masked, then the mean of" if resolution_m < scale_m else "the nearest of"
            found.setdefault(f"{how} {resolution_m:g} m pixels in each of {scale_m:g} m", []).append(name)
    labels_m = study.labels.resolution_m if study.labels else None
    if labels_m and labels_m != scale_m:
        how = "the commonest of" if labels_m < scale_m else "the nearest of"
        found.setdefault(f"{how} {labels_m:g} m pixels in each of {scale_m:g} m", []).append("labels")
    return found


def _listed(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= _NAMES else f"{names[0]}, {names[1]}, ... {names[-1]} ({len(names)})"


def _short(crs: str) -> str:
    return crs if len(crs) <= 24 else crs.split('"')[1] if '"' in crs else f"{crs[:21]}..."
