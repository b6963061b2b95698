"""The areas of a map as JSON values and as text: hectares beside pixel counts, regions, and figures adjusted by reference points."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cropcam.pipeline.maps.accuracy import Accuracy, Figure, estimate
from cropcam.pipeline.maps.areas import Measured, measure
from cropcam.pipeline.maps.class_map import FinishedMap, open_map
from cropcam.pipeline.maps.pixel_areas import nominal_hectares
from cropcam.pipeline.maps.reference_points import ReferencePoints, read_reference
from cropcam.pipeline.maps.regions import Regions, read_regions
from cropcam.pipeline.maps.strata import Stratified, stratify
from cropcam.pipeline.runtime.progress import Progress, silent

FEW_POINTS = 10


def map_areas(
    path: Path, regions: Path | None = None, reference: Path | None = None, *, label_column: str = "", progress: Progress = silent
) -> dict[str, Any]:
    """Measure a map that `cropcam map` wrote; with reference points also adjust its areas for its errors. Nothing is written.

    Args:
        path: the map.
        regions: polygons in any CRS.
        reference: points with classes; best those of `cropcam sample`, filled in.
        label_column: the column of the class in `reference`; empty = found by its name.
        progress: called after each block of the map.

    Returns:
        JSON values as in docs/numbers.md: `map`, `classes`, `regions`, and of reference points `reference`, `overall_accuracy` and
        more figures of each class, each with `NAME_ci95` (null where there is no interval).

    Raises:
        DataError: an input cannot be used; one line with the next step.
    """
    opened = open_map(path)
    polygons = read_regions(regions, opened.grid) if regions else None
    points = read_reference(reference, opened, label_column) if reference else None
    areas = measure(opened, polygons, progress)
    stratified = stratify(points, opened, areas) if points else None
    names, nominal = opened.legend.names, nominal_hectares(opened.grid)
    found: dict[str, Any] = {
        "map": {
            "path": str(path),
            "sha256": areas.digest,
            "crs": opened.grid.crs,
            "nominal_pixel_hectares": nominal,
            "pixel_hectares": list(areas.pixel_hectares),
            "nominal_deviation": [each / nominal - 1 for each in areas.pixel_hectares],
        },
        **_figures(areas.whole, names, nominal, estimate(stratified.sample, len(names)) if stratified else None),
    }
    if points and stratified:
        found["reference"] = _described(points, stratified)
        sure = [row["name"] for row in found["classes"] if (ci := row["users_accuracy_ci95"]) and ci[0] == ci[1]]
        if sure:
            line = f"no point on {', '.join(sure)} shows an error: an interval without width means that the sample is small, not that the map is perfect"
            found["reference"]["notes"].append(line)
    if polygons:
        found["regions"] = [
            {
                "name": polygons.names[index],
                "inside_map": polygons.inside[index],
                **_figures(part, names, nominal, _regional(opened, polygons, index, points, stratified)),
            }
            for index, part in enumerate(areas.regions)
        ]
    return found


def as_text(found: dict[str, Any]) -> str:
    """The tables of `map_areas`, for a terminal."""
    about, reference = found["map"], found.get("reference")
    low, high = about["nominal_deviation"]
    lines = [
        f"{about['path']}: geodesic areas in hectares",
        f"A pixel has {about['pixel_hectares'][0]:.6g} to {about['pixel_hectares'][1]:.6g} ha; its nominal area, "
        f"{about['nominal_pixel_hectares']:.6g} ha, deviates: {low:+.3%} to {high:+.3%}.",
        *_table(found),
    ]
    for region in found.get("regions", ()):
        part = "" if region["inside_map"] > 0.9999 else f", {region['inside_map']:.1%} of it within the map"
        lines += ["", f"Region {region['name']}{part}", *_table(region)]
    if reference:
        lines += ["", f"{reference['path']}: {reference['points']:,} points, strata: {reference['strata_kind']}"]
        lines += [f"{note[:1].upper()}{note[1:]}." for note in reference["notes"]]
        lines += ["Mapped hectares count pixels, errors included. Adjusted hectares are the estimate of the true area."]
    return "\n".join(lines)


def _figures(part: Measured, names: Sequence[str], nominal: float, accuracy: Accuracy | None) -> dict[str, Any]:
    """Areas of the whole or a region and their figures."""
    total = float(part.hectares_K.sum())
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(names):
        row: dict[str, Any] = {
            "name": name,
            "pixels": float(part.pixels_K[k]),
            "nominal_hectares": float(part.pixels_K[k] * nominal),
            "hectares": float(part.hectares_K[k]),
            "share": float(part.hectares_K[k] / total) if total else None,
        }
        if accuracy:
            row |= _interval("adjusted_hectares", accuracy.shares[k].times(total)) | _interval("users_accuracy", accuracy.users[k])
            row |= _interval("producers_accuracy", accuracy.producers[k])
        rows.append(row)
    extra = _interval("overall_accuracy", accuracy.overall) | {"points": accuracy.points} if accuracy else {}
    note = ""
    if accuracy and accuracy.points < FEW_POINTS:
        note = f"{accuracy.points} reference points: too few for the figures to mean much"
    return {
        "hectares": total,
        "nodata_pixels": part.nodata_pixels,
        "nodata_hectares": part.nodata_hectares,
        "classes": rows,
        **extra,
        **({"note": note} if note else {}),
    }


def _regional(
    opened: FinishedMap, regions: Regions, index: int, points: ReferencePoints | None, stratified: Stratified | None
) -> Accuracy | None:
    if not points or not stratified:
        return None
    x_W, y_H = opened.grid.centres()
    return estimate(stratified.sample, len(opened.legend), regions.holds(index, x_W[points.col_P], y_H[points.row_P]))


def _interval(name: str, figure: Figure) -> dict[str, Any]:
    if figure.value is None or figure.margin is None:
        return {name: figure.value, f"{name}_ci95": None}
    return {name: figure.value, f"{name}_ci95": [figure.value - figure.margin, figure.value + figure.margin]}


def _described(points: ReferencePoints, stratified: Stratified) -> dict[str, Any]:
    sample = stratified.sample
    count_H = np.bincount(sample.stratum_P, minlength=len(stratified.names))
    strata = [
        {"name": name, "points": int(count), "hectares": float(area)}
        for name, count, area in zip(stratified.names, count_H, sample.area_H, strict=True)
        if count
    ]
    notes = [*points.notes, *([stratified.reason] if stratified.reason else [])]
    return {"path": points.path, "points": len(points.row_P), "strata_kind": stratified.kind, "strata": strata, "notes": notes}


def _table(part: dict[str, Any]) -> list[str]:
    rows = part["classes"]
    adjusted = "adjusted_hectares" in rows[0] if rows else False
    header = ["class", "pixels", "nominal ha", "mapped ha"] + (["adjusted ha", "user's", "producer's"] if adjusted else [])
    body = [
        [row["name"], f"{row['pixels']:,.0f}", f"{row['nominal_hectares']:,.1f}", f"{row['hectares']:,.1f}"]
        + (
            [
                _plus_minus(row, "adjusted_hectares", ",.1f"),
                _plus_minus(row, "users_accuracy", ".3f"),
                _plus_minus(row, "producers_accuracy", ".3f"),
            ]
            if adjusted
            else []
        )
        for row in rows
    ]
    body.append(["nodata", f"{part['nodata_pixels']:,.0f}", "", f"{part['nodata_hectares']:,.1f}"] + [""] * (3 if adjusted else 0))
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [
        "  ".join([cells[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(cells[1:], widths[1:], strict=True))]).rstrip()
        for cells in (header, *body)
    ]
    if "overall_accuracy" in part:
        lines.append(f"Overall accuracy {_plus_minus(part, 'overall_accuracy', '.3f')}, {part['points']:,} points")
    return [*lines, *([f"{part['note']}."] if "note" in part else [])]


def _plus_minus(row: dict[str, Any], name: str, form: str) -> str:
    value, interval = row[name], row[f"{name}_ci95"]
    if value is None:
        return "-"
    return f"{value:{form}}" + (f" +- {(interval[1] - interval[0]) / 2:{form}}" if interval else "")
