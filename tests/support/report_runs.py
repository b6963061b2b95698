"""An evaluated run as users have them: twelve classes of long names, twenty input files of long names."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from cropcam.model.evaluation.evaluate import evaluate
from cropcam.pipeline.store.create import root_json
from cropcam.pipeline.store.schema import ROOT
from support.runs import make_run
from support.stores import make_store, make_study

CLASSES: dict[str, tuple[int, ...]] = {
    "corn": (1,), "soybean": (5,), "winter-wheat-and-other-grain": (24, 21, 28), "alfalfa": (36,), "cotton": (2,), "rice": (3,),
    "forest": (63, 141, 142, 143, 190), "grassland": (37, 176), "developed": (123, 124, 122), "open-water": (92,), "wetland": (195,),
}  # fmt: skip
FILES = [f"image:LC08_L2SP_0{path:02d}0{row}_2016{month:02d}15_20200907_02_T1_SR_B{band}_mosaic_clipped.tif"
         for path, row, month, band in zip(range(20, 40), range(30, 50), [*range(4, 10)] * 4, [*range(1, 8)] * 3, strict=False)]  # fmt: skip


def make_wide_run(folder: Path, count: int = 40, size_px: int = 16, **settings: Any) -> Path:
    """FOLDER/run, evaluated, on FOLDER/patches.zarr: twelve classes with background, digests of twenty files."""
    study = make_study(size_px, classes=CLASSES)
    path = folder / "patches.zarr"
    info = make_store(path, count=count, size_px=size_px, study=study)
    info = replace(info, digests={"study": study.digest} | {name: hashlib.sha256(name.encode()).hexdigest() for name in FILES})
    (path / ROOT).write_text(root_json(path, info))
    make_run(folder / "run", path, info, **settings)
    evaluate(folder / "run", device="cpu")
    return folder / "run"
