"""What a patch store already shows to be doubtful: values that are no reflectance, bands of no sensor, classes that cannot be scored.

Axis suffixes: N kept patches, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.image_dates import image_dates
from cropcam.pipeline.store.patch_store import PatchStore
from cropcam.pipeline.store.schema import SPLITS, StoreInfo
from cropcam.pipeline.study.image import Image
from cropcam.pipeline.study.study import Study, parse_study

FEW_PATCHES = 10  # of a class in a split: figures of fewer say little
_SHOWN = 8


def cautions(store: PatchStore, *, labels: bool = True) -> list[str]:
    """One sentence for each doubt; of several stores each begins with the store's name. Without `labels` no label is read."""
    found = []
    for name, part in store.parts.items():
        before = f"{name}: " if len(store.parts) > 1 else ""
        try:
            study = parse_study(part.info.study)
        except ConfigError as error:  # of a changed store; what needs its study says so itself
            found.append(f"{before}the study in the store cannot be read, its bands and classes are not looked at: {error}")
            continue
        found += [
            f"{before}{text}" for text in (*_dates(part.info, study), *_bands(part.info, study), *(_classes(part, study) if labels else ()))
        ]
    return found


def _dates(info: StoreInfo, study: Study) -> Iterator[str]:
    """Days in the names of image files that no season of the study has."""
    days = image_dates(name.removeprefix("image:") for name in info.digests if name.startswith("image:"))
    seasons = [(str(first), str(last)) for first, last in study.to_dict()["image"]["seasons"]]
    if outside := [day for day in days if not any(first <= day < last for first, last in seasons)]:
        periods = ", ".join(f"{first} to {last}" for first, last in seasons)
        yield (
            f"image date {_listed(outside)} by the name of its file, and the seasons of the study are {periods}: set image.seasons, "
            "or build the store with --set image.seasons=..."
        )


def _bands(info: StoreInfo, study: Study) -> Iterator[str]:
    """Names that the sensor does not have, and means that no reflectance has."""
    image = study.image
    of = dict(zip(image.layers, [*image.bands, *image.derived] * len(image.seasons), strict=True))
    if unknown := [name for name in image.bands if name not in image.table.bands]:
        known = ", ".join(image.table.default_bands[:_SHOWN])
        yield (
            f"{_listed(unknown)} {'are no bands' if len(unknown) > 1 else 'is no band'} of the sensor ({image.table.title}: {known}, ...): "
            "values are not checked, and an export refuses the study; name the sensor and its bands in [image]"
        )
    means = zip(info.bands, info.statistics.get("mean", ()), strict=False)
    beyond = [f"{name} ({mean:.4g})" for name, mean in means if _is_reflectance(of.get(name, name), image) and not 0 <= mean <= 1]
    if beyond:
        yield (
            f"the mean over the training patches is no reflectance, which lies from 0 to 1: {_listed(beyond)}; check --scale, --offset and "
            "the order of the bands"
        )


def _is_reflectance(band: str, image: Image) -> bool:
    """Whether the values of a band count as reflectance: of an optical sensor those that have no unit of their own, and unknown names."""
    if image.table.level is None or band in image.derived:
        return False
    known = image.table.bands.get(band)
    return known is None or known.valid_range is None


def _classes(store: PatchStore, study: Study) -> Iterator[str]:
    """Classes with few patches in a split."""
    if not store.info.has_labels:
        return
    least = study.labels.presence_min_share if study.labels else 0.0
    present_NK = store.share_NK > least
    count_SK = np.stack([present_NK[store.split_N == number].sum(axis=0) for number in range(len(SPLITS))])
    names = store.info.classes.names
    if absent := [name for name, count in zip(names, count_SK[0], strict=True) if not count]:
        yield f"no training patch has {_listed(absent)}: what is not there cannot be learned; take a larger area, or leave the class out"
    few = []
    for name, counts in zip(names, count_SK.T, strict=True):
        scarce = [f"{count} in {split}" for split, count in zip(SPLITS[1:], counts[1:], strict=True) if count < FEW_PATCHES]
        few += [f"{name} ({', '.join(scarce)})"] if scarce and counts.sum() else []
    if few:
        yield (
            f"fewer than {FEW_PATCHES} patches to score {_listed(few)}: figures of these classes say little; take a larger area, "
            "smaller splits.block_patches, or other splits.fractions"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
