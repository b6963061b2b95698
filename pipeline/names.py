"""Names that a study is chosen or written with: presets, sensors, legends, as JSON values."""

from __future__ import annotations

from typing import Any

from cropcam.pipeline import legend_sources, presets, sensor
from cropcam.pipeline.study.study import load_study


def studies() -> list[dict[str, Any]]:
    """The presets, each with title, bounds (west, south, east, north in degrees), sensor, years, seasons, patches and classes."""
    found = []
    for name in presets.names():
        study = load_study(name)
        found.append(
            {
                "name": name,
                "title": presets.title(name),
                "bounds": list(study.area.bounds),
                "sensor": study.image.table.title,
                "years": sorted({int(str(day)[:4]) for day, _ in study.image.seasons}),
                "seasons": len(study.image.seasons),
                "patches": study.patch_grid.count,
                "classes": list(study.legend.names),
            }
        )
    return found


def sensors() -> list[dict[str, Any]]:
    """The sensors of the package, each with its title."""
    return [{"name": name, "title": sensor.packaged(name).title} for name in sensor.packaged_names()]


def legends() -> list[dict[str, Any]]:
    """The legends of the package, each with its number of codes."""
    return [{"name": name, "codes": len(legend_sources.packaged(name).codes)} for name in legend_sources.packaged_names()]
