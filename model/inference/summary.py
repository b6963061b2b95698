"""The summary of a finished map."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class MapSummary:
    """A map's file, its pixels and hectares per class in index order, and its pixels without data.

    Attributes:
        path: the class map.
        class_pixels: by class name.
        nodata_pixels: pixels of value 255.
        class_hectares: geodesic area by class name; empty where the CRS does not reach the pixels.
        unshifted_hectares: as it would be without the shift to known class areas; empty without one.
        known_shares: the known share (0..1) of each class in the mapped area; empty without them.
        files: every file that was made.
    """

    path: Path
    class_pixels: dict[str, int]
    nodata_pixels: int
    class_hectares: dict[str, float] = field(default_factory=dict)
    unshifted_hectares: dict[str, float] = field(default_factory=dict)
    known_shares: dict[str, float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "path": str(self.path), "files": [str(path) for path in self.files]}

    def __str__(self) -> str:
        mapped = sum(self.class_pixels.values())
        areas = self.class_hectares or self.class_pixels
        unit = " ha" if self.class_hectares else " px"
        shares = ", ".join(f"{name} {areas[name]:,.0f}{unit} ({count / mapped:.1%})" for name, count in self.class_pixels.items())
        lines = [f"{self.path}: {mapped:,} pixels mapped: {shares}; {self.nodata_pixels:,} nodata"]
        if self.known_shares and self.class_hectares:
            before, after = (sum(each.values()) for each in (self.unshifted_hectares, self.class_hectares))
            lines.append("known areas (known: before -> after the shift): " + ", ".join(
                f"{name} {self.known_shares[name]:.1%}: {self.unshifted_hectares[name] / before:.1%} -> {self.class_hectares[name] / after:.1%}"
                for name in self.class_pixels
            ))  # fmt: skip
        lines += [f"{path}" for path in self.files if path != self.path]
        return "\n".join(lines)
