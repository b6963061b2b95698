"""What simple per-pixel classifiers make of the same pixels: rows to stand beside a network's.

scikit-learn is imported only here, and only when asked for (the extra `references`).
Axis suffixes: N patch of the training split, B batch, C band, H/W rows and columns, K class, P pixel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from cropcam.pipeline.errors import ConfigError
from cropcam.pipeline.legend import UNLABELLED, Legend
from cropcam.pipeline.store.schema import NODATA_DN, split_indices, to_reflectance

PIXELS, TREES, BATCH = 100_000, 100, 256
Classes = npt.NDArray[np.uint8]
Predict = Callable[[npt.NDArray[np.float32]], Classes]


@dataclass(frozen=True)
class Reference:
    """A way to answer every pixel without a network.

    Attributes:
        name: as in metrics.json.
        pixels: how many labelled pixels it learnt from; None where it learnt from class shares.
        predict: reflectance (P, C) to class indices (P,).
    """

    name: str
    pixels: int | None
    predict: Predict

    def segment(self, dn_BCHW: npt.NDArray[np.uint16]) -> Classes:
        """Class index (B, H, W) of each pixel; without image data in every band it is 0, and the caller leaves it out."""
        valid_BHW = (dn_BCHW != NODATA_DN).all(axis=1)
        answer_BHW = np.zeros(valid_BHW.shape, np.uint8)
        if valid_BHW.any():
            answer_BHW[valid_BHW] = self.predict(to_reflectance(np.moveaxis(dn_BCHW, 1, -1)[valid_BHW]))
        return answer_BHW


@dataclass(frozen=True)
class References:
    """All of them, and what could not be had, in sentences."""

    rows: tuple[Reference, ...] = ()
    notes: list[str] = field(default_factory=list)

    def segment(self, dataset: xr.Dataset, patches_B: npt.NDArray[np.int64]) -> dict[str, Classes]:
        """Class indices (B, H, W) by name for patches of the store."""
        if not self.rows:
            return {}
        dn_BCHW = dataset["image"].isel(patch=patches_B).to_numpy()
        return {row.name: row.segment(dn_BCHW) for row in self.rows}


def fit(dataset: xr.Dataset, legend: Legend, kind: str, labelled_NHW: Classes | None, seed: int) -> References:
    """Always answering the training split's commonest class; a random forest and a logistic regression.

    Each of the two once on the pixels that the run's labels allow (`-labels`) and once on pixels of the whole training
    split with their true classes (`-all`), at most 100,000 of each, drawn evenly from the patches. Features are the
    reflectances of one pixel; 100 trees; the regression standardises them.

    Args:
        dataset: the run's store.
        legend: its classes.
        kind: of the run's labels.
        labelled_NHW: the labels of the training split's pixels, 255 = unlabelled, in the store's order; None for a kind
            that labels no pixel.
        seed: of what is drawn, and of the trees.

    Raises:
        ConfigError: scikit-learn is not installed.
        DataError: the training split is empty.
    """
    makers = _makers(seed)
    index_N = split_indices(dataset, "train")
    commonest = int(dataset["share"][index_N].to_numpy().sum(axis=0).argmax())
    rows = [Reference("majority-of-train", None, lambda pixels_PC: np.full(len(pixels_PC), commonest, np.uint8))]
    notes = []
    if labelled_NHW is None:
        notes.append(f"{kind} labels name the class of no pixel: a reference trained on the pixels they allow does not exist")
    for suffix, classes_of in {
        "labels": None if labelled_NHW is None else labelled_NHW.__getitem__,
        "all": lambda place_B: legend.index(dataset["label"][index_N[place_B]].to_numpy()),
    }.items():
        if classes_of is None:
            continue
        pixels_PC, class_P = sample(dataset, index_N, classes_of, np.random.default_rng([seed, len(suffix)]))
        if len(found := np.unique(class_P)) < 2:
            notes.append(f"-{suffix}: {len(class_P)} labelled pixels of {len(found)} classes are too few to learn from")
            continue
        rows += [Reference(f"{name}-{suffix}", len(class_P), make().fit(pixels_PC, class_P).predict) for name, make in makers.items()]
    return References(tuple(rows), notes)


def sample(
    dataset: xr.Dataset,
    index_N: npt.NDArray[np.int64],
    classes_of: Callable[[npt.NDArray[np.int64]], Classes],
    random: np.random.Generator,
    limit: int = PIXELS,
) -> tuple[npt.NDArray[np.float32], Classes]:
    """At most `limit` pixels with a class and image data: reflectance (P, C) and class (P,).

    As many from each patch, as far as it has them, so that no patch is left out and memory is bounded by what is drawn.

    Args:
        dataset: the store.
        index_N: its patches.
        classes_of: class indices (B, H, W) of the patches at these places of `index_N`, 255 = none.
        random: what draws.
        limit: pixels at most.
    """
    places_N = np.sort(random.permutation(len(index_N))[:limit])
    each = -(-limit // len(places_N))
    drawn = list(_drawn(dataset, index_N, places_N, classes_of, each, random))
    pixels_PC, class_P = np.concatenate([pixels for pixels, _ in drawn]), np.concatenate([classes for _, classes in drawn])
    kept = np.sort(random.permutation(len(class_P))[:limit])
    return to_reflectance(pixels_PC[kept]), class_P[kept]


def _drawn(
    dataset: xr.Dataset,
    index_N: npt.NDArray[np.int64],
    places_N: npt.NDArray[np.int64],
    classes_of: Callable[[npt.NDArray[np.int64]], Classes],
    each: int,
    random: np.random.Generator,
) -> Iterator[tuple[npt.NDArray[np.uint16], Classes]]:
    for first in range(0, len(places_N), BATCH):
        places_B = places_N[first : first + BATCH]
        classes_BHW = classes_of(places_B)
        dn_BHWC = np.moveaxis(dataset["image"][index_N[places_B]].to_numpy(), 1, -1)
        usable_BP = ((classes_BHW != UNLABELLED) & (dn_BHWC != NODATA_DN).all(axis=-1)).reshape(len(places_B), -1)
        # a random key per pixel, unusable ones last: the first `each` usable ones are a fair draw
        order_BP = np.argsort(np.where(usable_BP, random.random(usable_BP.shape), 2.0), axis=1)[:, :each]
        chosen = np.take_along_axis(usable_BP, order_BP, axis=1)
        row_P, pixel_P = np.repeat(np.arange(len(places_B)), chosen.sum(axis=1)), order_BP[chosen]
        yield dn_BHWC.reshape(*usable_BP.shape, -1)[row_P, pixel_P], classes_BHW.reshape(usable_BP.shape)[row_P, pixel_P]


def _makers(seed: int) -> dict[str, Callable[[], Any]]:
    try:
        from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - an extra, and slow to import
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    except ImportError:
        raise ConfigError("--references needs scikit-learn: pip install 'cropcam[references]', or leave it out") from None
    return {
        "random-forest": lambda: RandomForestClassifier(TREES, random_state=seed % 2**32, n_jobs=-1),
        "logistic-regression": lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
    }
