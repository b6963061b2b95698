"""A service in memory that answers with the place of each pixel, and a small study for it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import ee
import numpy as np

from cropcam.pipeline.earthengine.layers import layers_of
from cropcam.pipeline.grid import PixelGrid
from cropcam.pipeline.study.study import Study, load_study, parse_study
from support.engines import FakeService


def small(**image: Any) -> Study:
    values = load_study("demo").to_dict()
    values["area"] |= {"bounds": [-90.1, 41.0, -89.93, 41.1]}
    values["image"] |= {"bands": ["SR_B4", "SR_B5"], **image}
    return parse_study(values)


class Pixels(FakeService):
    """Answers with the absolute row and column of each pixel of the study's grid; `orders` are faults, first come first served."""

    def __init__(self, study: Study, largest_px: int = 10_000) -> None:
        super().__init__()
        self.__dict__.update(grid=study.grid, bands=layers_of(study)[0].bands, largest_px=largest_px, asked=[])

    def pixels(self, image: Any, grid: PixelGrid, what: str) -> bytes:  # noqa: ARG002
        def send() -> bytes:
            fault = self.orders.pop(0) if self.orders else None
            if isinstance(fault, BaseException):
                raise fault
            self.asked.append((what, grid.shape_yx))
            if max(grid.shape_yx) > self.largest_px:
                raise ee.EEException("User memory limit exceeded.")
            a, _, c, _, e, f = self.grid.transform
            row, col = round((grid.transform[5] - f) / e), round((grid.transform[2] - c) / a)
            yy, xx = np.mgrid[row : row + grid.height, col : col + grid.width]
            is_label = "label" in what
            names = ("cropland",) if is_label else self.bands
            found = np.zeros(grid.shape_yx, [(name, "u1" if is_label else "u2") for name in names])
            for number, name in enumerate(names):
                found[name] = (yy * 7 + xx + number) % 250 + (1 if is_label else 8000)  # DN that a sensor has
            buffer = io.BytesIO()
            np.save(buffer, found)
            content = buffer.getvalue()
            return content[: len(content) // 2] if fault == "truncate" else content

        return self.backoff.call(send, what)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
